//! OpenSSH's server on a free loopback port, with keys of its own, and a client that keeps a connection to it open.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::BenchError;

/// Where it is installed, usually beyond a user's search path.
const SERVER: &str = "/usr/sbin/sshd";
/// A server that does not listen by then, or a client that is not connected, is taken for broken.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Between two looks whether it does.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// See the module. Everything ends, and its folder goes, when it is dropped.
pub(crate) struct OpenSsh {
    folder: PathBuf,
    port: u16,
    server: Option<Child>,
    master: Option<Child>,
}

impl OpenSsh {
    /// [`BenchError::NotOffered`] where it is not installed.
    pub(crate) fn start() -> Result<Self, BenchError> {
        if !Path::new(SERVER).exists() {
            return Err(BenchError::NotOffered);
        }
        let folder = std::env::temp_dir().join(format!("codex-exec-server-bench-{}-ssh", std::process::id()));
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| BenchError::File { path, source }
        };
        std::fs::create_dir(&folder).map_err(fail(&folder))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut ssh = Self { folder, port, server: None, master: None };
        for key in ["host", "user"] {
            let path = ssh.path(key);
            succeed(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path]))?;
        }
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\nUsePAM no\n",
            ssh.path("host"),
            ssh.path("user.pub"),
        );
        let path = PathBuf::from(ssh.path("config"));
        std::fs::write(&path, config).map_err(fail(&path))?;
        // Debian's makes this when its service starts; without it the server refuses to run as root.
        let _ = std::fs::create_dir("/run/sshd");
        ssh.server = Some(spawn(Command::new(SERVER).args(["-D", "-f", &ssh.path("config")]))?);
        wait_until(SERVER, || TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        let argv = ssh.client_argv();
        ssh.master = Some(spawn(Command::new(&argv[0]).args(&argv[1..argv.len() - 1]).args([
            "-M",
            "-N",
            &argv[argv.len() - 1],
        ]))?);
        let mut check = Command::new(&argv[0]);
        check.args(&argv[1..argv.len() - 1]).args(["-O", "check", &argv[argv.len() - 1]]);
        check.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        wait_until("ssh", || check.status().is_ok_and(|status| status.success()))?;
        Ok(ssh)
    }

    /// A client that runs what is appended, over the open connection.
    pub(crate) fn client_argv(&self) -> Vec<String> {
        let control = format!("ControlPath={}", self.path("control"));
        let hosts = format!("UserKnownHostsFile={}", self.path("known"));
        let (port, user) = (self.port.to_string(), self.path("user"));
        [
            "ssh",
            "-F",
            "none",
            "-T",
            "-p",
            &port,
            "-i",
            &user,
            "-o",
            &control,
            "-o",
            &hosts,
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "BatchMode=yes",
            "127.0.0.1",
        ]
        .map(str::to_owned)
        .into()
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for OpenSsh {
    fn drop(&mut self) {
        for child in [self.master.take(), self.server.take()].into_iter().flatten() {
            let mut child = child;
            // One that has ended already is over.
            let _ = child.kill();
            let _ = child.wait();
        }
        // A folder left behind in the temporary folder is no reason to lose the results.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn spawn(command: &mut Command) -> Result<Child, BenchError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().map_err(|source| BenchError::Start { program, source })
}

fn succeed(command: &mut Command) -> Result<(), BenchError> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(BenchError::Protocol(format!("{program} ended with {status}"))),
        Err(source) => Err(BenchError::Start { program, source }),
    }
}

fn wait_until(program: &str, mut done: impl FnMut() -> bool) -> Result<(), BenchError> {
    let started = Instant::now();
    while !done() {
        if started.elapsed() > START_LIMIT {
            let source = std::io::Error::from(std::io::ErrorKind::TimedOut);
            return Err(BenchError::Start { program: program.to_owned(), source });
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    Ok(())
}

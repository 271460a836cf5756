//! A TCP proxy that resets every connection after so many bytes, for trying out what a bad network does.
//!
//! `cutting_proxy ws://IP:PORT BYTES` prints the URL to connect to instead. Standard error gets a line for each cut.

use std::process::ExitCode;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, bytes] = &arguments[..] else {
        eprintln!("usage: cutting_proxy ws://IP:PORT BYTES");
        return ExitCode::from(2);
    };
    let (Some(target), Ok(bytes)) = (url.strip_prefix("ws://"), bytes.parse::<u64>()) else {
        eprintln!("cutting_proxy: `{url}` must be ws://IP:PORT and `{bytes}` a number of bytes");
        return ExitCode::from(2);
    };
    match serve(target, bytes).await {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("cutting_proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(target: &str, bytes: u64) -> std::io::Result<std::convert::Infallible> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("ws://{}", listener.local_addr()?);
    let mut connections = JoinSet::new();
    loop {
        let (near, _) = listener.accept().await?;
        let far = TcpStream::connect(target).await?;
        connections.spawn(carry(near, far, bytes));
        while connections.try_join_next().is_some() {}
    }
}

/// Passes bytes both ways until one side is done or so many went through in either direction.
async fn carry(near: TcpStream, far: TcpStream, bytes: u64) {
    let ((mut near_read, mut near_write), (mut far_read, mut far_write)) =
        (near.into_split(), far.into_split());
    let cut = tokio::select! {
        cut = pass(&mut near_read, &mut far_write, bytes) => cut,
        cut = pass(&mut far_read, &mut near_write, bytes) => cut,
    };
    if cut {
        eprintln!("cut");
        for socket in [near_read.as_ref(), far_read.as_ref()] {
            // Closing a socket with this set sends a reset, and drops what it still held.
            let _ = socket.set_zero_linger();
        }
    }
}

async fn pass(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    bytes: u64,
) -> bool {
    let mut buffer = vec![0; 64 << 10];
    let mut passed = 0;
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        passed += read as u64;
        if passed > bytes {
            return true;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return false;
        }
    }
    let _ = to.shutdown().await;
    false
}

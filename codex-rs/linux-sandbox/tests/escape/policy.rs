//! 87–92: intents that say less than they seem to. What can't be said at all is tried where intents are resolved.

use std::os::unix::fs::symlink;

use super::attempt::Attempt;
use super::files::write_everyhow;
use super::scene::Profile;

pub(crate) fn attempts() -> Vec<Attempt> {
    vec![
        Attempt::new(90, "write where programs lie", Profile::Minimal, |_, through| {
            for folder in ["/usr", "/usr/bin", "/etc", "/bin", "/lib"] {
                write_everyhow(through, std::path::Path::new(folder));
            }
        }),
        Attempt::new(92, "another project", Profile::Minimal, |scene, through| {
            through.must_fail("enter", std::env::set_current_dir(scene.outside()));
            let link = scene.workspace().join("link");
            symlink(scene.outside(), &link).expect("a link may be made");
            write_everyhow(through, &link);
        }),
    ]
}

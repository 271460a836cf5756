//! 87–92: intents that say less than they seem to, or can't be said at all.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use codex_exec_server_protocol::path_uri::PathUri;
use serde_json::{Value, json};

use super::attempt::Attempt;
use super::files::write_everyhow;
use super::scene::Profile;

pub(crate) fn attempts() -> Vec<Attempt> {
    vec![
        Attempt::new(87, "parts of a project that lie elsewhere", Profile::Workspace, |scene, through| {
            for folder in [scene.outside(), scene.root().to_owned(), scene.workspace(), "/".into()] {
                write_everyhow(through, &folder);
            }
        })
        .prepared(|scene| {
            fs::create_dir(scene.workspace().join("part")).expect("a folder");
            symlink(scene.outside(), scene.workspace().join("link")).expect("a link");
        })
        .changed(|scene| {
            let outside = scene.outside();
            let elsewhere = ["../outside", outside.to_str().expect("text"), "part/../../outside", "~", "~/x"];
            let parts: Vec<Value> = elsewhere.iter().chain(&["part"]).map(|part| part_of_project(part)).collect();
            entries(&[&[special("root", "read")], &parts[..]].concat())
        })
        .refused(|_| {
            let link = entries(&[special("root", "read"), part_of_project("link")]);
            vec![(link, "but a link leads it to")]
        })
        .controlled(|scene| {
            fs::write(scene.workspace().join("part/file"), "work").expect("one part may be written");
        }),
        Attempt::new(88, "places that nobody knows", Profile::Workspace, |scene, through| {
            for folder in [scene.outside(), scene.root().to_owned(), "/".into()] {
                write_everyhow(through, &folder);
            }
        })
        .changed(|_| {
            let unknown = |path: &str| {
                let place = json!({ "kind": "unknown", "path": path, "subpath": "outside" });
                json!({ "path": { "type": "special", "value": place }, "access": "write" })
            };
            let known = [special("root", "read"), special("project_roots", "write")];
            entries(&[&known[..], &[unknown(":everything"), unknown("/")]].concat())
        })
        .refused(|_| vec![(entries(&[special("everything", "write")]), "unknown variant `everything`")]),
        Attempt::new(89, "a glob that allows writing", Profile::ReadOnly, |scene, through| {
            for folder in [scene.outside(), scene.workspace(), scene.root().to_owned()] {
                write_everyhow(through, &folder);
            }
        })
        .changed(|scene| {
            let everywhere = format!("{}/**", scene.root().display());
            let glob = |pattern: &str| json!({ "path": { "type": "glob_pattern", "pattern": pattern }, "access": "write" });
            entries(&[special("root", "read"), glob(&everywhere), glob("**"), glob("*")])
        }),
        Attempt::new(90, "write where programs lie", Profile::Minimal, |_, through| {
            for folder in ["/usr", "/usr/bin", "/etc", "/bin", "/lib"] {
                write_everyhow(through, Path::new(folder));
            }
        }),
        Attempt::new(91, "paths that read differently as text", Profile::ReadOnly, |scene, through| {
            write_everyhow(through, &scene.workspace());
        })
        .refused(|scene| {
            let workspace = PathUri::try_from(scene.workspace().as_path()).expect("a path").to_string();
            [
                (format!("{workspace}/a%00b"), "is invalid on"),
                (format!("{workspace}%2Fa"), "encoded separator"),
                (format!("{workspace}%2fa"), "encoded separator"),
                ("file://elsewhere/tmp".into(), "is invalid on"),
                ("file:///C:/Windows".into(), "is invalid on"),
                ("/tmp".into(), "relative URL without a base"),
                ("http://localhost/tmp".into(), "unsupported path URI scheme"),
                (format!("{workspace}?query"), "query"),
                (format!("{workspace}#part"), "fragment"),
            ]
            .map(|(uri, told)| {
                let path = json!({ "type": "path", "path": uri });
                let write = json!({ "path": path, "access": "write" });
                (entries(&[special("root", "read"), write]), told)
            })
            .into_iter()
            .chain([
                (entries(&[special("root", "Read")]), "unknown variant `Read`"),
                (entries(&[special("Root", "read")]), "unknown variant `Root`"),
            ])
            .collect()
        }),
        Attempt::new(92, "another project", Profile::Minimal, |scene, through| {
            through.must_fail("enter", std::env::set_current_dir(scene.outside()));
            let link = scene.workspace().join("link");
            symlink(scene.outside(), &link).expect("a link may be made");
            write_everyhow(through, &link);
        }),
    ]
}

fn entries(entries: &[Value]) -> Value {
    json!({ "sandbox": { "permissions": { "file_system": { "entries": entries } } } })
}

fn special(kind: &str, access: &str) -> Value {
    json!({ "path": { "type": "special", "value": { "kind": kind } }, "access": access })
}

fn part_of_project(subpath: &str) -> Value {
    let place = json!({ "kind": "project_roots", "subpath": subpath });
    json!({ "path": { "type": "special", "value": place }, "access": "write" })
}

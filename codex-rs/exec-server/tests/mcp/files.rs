//! The tools for files of `codex-exec-server mcp`, on this machine and on another.

use serde_json::json;

use crate::programs::Server;
use crate::tools::Agent;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_written_read_and_listed_here_and_there() {
    for server in [Server::Embedded, Server::websocket(&[])] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| format!("{}/{name}", folder.path().display());
        let agent = Agent::with(&server.flags()).await;

        let new = json!({"path": path("new"), "content": "grün\n", "if_etag": ""});
        let (_, written) = agent.done("write_file", new.clone()).await;
        assert_eq!(written["size"], 6);
        assert_eq!(std::fs::read(path("new")).expect("it is there"), "grün\n".as_bytes());
        // It is there by now.
        let refusal = agent.refused("write_file", new).await;
        assert!(refusal.contains("file exists already"), "{refusal}");

        let (text, read) = agent.done("read_file", json!({"path": path("new")})).await;
        assert_eq!((text.as_str(), &read["isEnd"], &read["isText"]), ("grün\n", &json!(true), &json!(true)));
        assert_eq!(read["etag"], written["etag"]);
        // In pieces, none of which ends within a character.
        let (first, facts) = agent.done("read_file", json!({"path": path("new"), "max_bytes": 3})).await;
        assert_eq!((first.as_str(), &facts["nextOffset"], &facts["isEnd"]), ("gr", &json!(2), &json!(false)));
        let (rest, facts) = agent.done("read_file", json!({"path": path("new"), "offset": 2})).await;
        assert_eq!((rest.as_str(), &facts["isEnd"]), ("ün\n", &json!(true)));

        // Who has not seen the newest content does not replace it.
        std::fs::write(path("new"), "somebody else's").expect("it can be written");
        let stale = json!({"path": path("new"), "content": "mine", "if_etag": written["etag"]});
        agent.refused("write_file", stale).await;
        assert_eq!(std::fs::read(path("new")).expect("it is there"), b"somebody else's");
        agent.done("write_file", json!({"path": path("new"), "content": "mine"})).await;

        std::fs::write(path("noise"), b"a\xffb").expect("it can be written");
        let (text, facts) = agent.done("read_file", json!({"path": path("noise")})).await;
        assert_eq!((text.as_str(), &facts["isText"]), ("a\u{fffd}b", &json!(false)));

        std::fs::create_dir(path("folder")).expect("it is made");
        std::os::unix::fs::symlink("nowhere", path("link")).expect("it is made");
        let (names, facts) = agent.done("list_directory", json!({"path": path("")})).await;
        assert_eq!(names, "folder/\nlink@\nnew\nnoise\n");
        assert_eq!((&facts["total"], &facts["isEnd"]), (&json!(4), &json!(true)));
        let (names, _) = agent.done("list_directory", json!({"path": path(""), "after": "link"})).await;
        assert_eq!(names, "new\nnoise\n");
        agent.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_directory_is_listed_in_parts() {
    let folder = tempfile::tempdir().expect("a folder");
    for n in 0..2_001 {
        std::fs::write(folder.path().join(format!("{n:04}")), "").expect("it can be written");
    }
    let agent = Agent::with(&[]).await;
    let (names, facts) = agent.done("list_directory", json!({"path": folder.path()})).await;
    assert_eq!(
        (names.lines().count(), &facts["isEnd"], &facts["last"]),
        (2_000, &json!(false), &json!("1999"))
    );
    let more = json!({"path": folder.path(), "after": facts["last"]});
    let (names, facts) = agent.done("list_directory", more).await;
    assert_eq!((names.as_str(), &facts["isEnd"]), ("2000\n", &json!(true)));
    agent.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_found_by_name_and_by_content_here_and_there() {
    for server in [Server::Embedded, Server::websocket(&[])] {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("src/deep")).expect("it is made");
        for (name, content) in [
            (".gitignore", "*.log\n"),
            ("a.rs", "one\ntwo\nthree\n"),
            ("src/b.rs", "two (and more)\n"),
            ("src/deep/c.txt", "Two\n"),
            ("src/x.log", "two\n"),
        ] {
            std::fs::write(folder.path().join(name), content).expect("it can be written");
        }
        let agent = Agent::with(&server.flags()).await;
        let path = folder.path();
        let (names, facts) =
            agent.done("find_files", json!({"path": path, "patterns": ["**/*.rs", "src"]})).await;
        assert_eq!(names, "a.rs\nsrc/\nsrc/b.rs\n");
        assert_eq!(
            (&facts["found"], &facts["isEnd"], &facts["unreadable"]),
            (&json!(3), &json!(true), &json!(0))
        );
        let all = json!({
            "path": path, "patterns": ["**"], "exclude": ["**/deep"], "include_hidden": true, "include_ignored": true,
        });
        let (names, _) = agent.done("find_files", all).await;
        assert_eq!(names, ".gitignore\na.rs\nsrc/\nsrc/b.rs\nsrc/x.log\n");
        let few = json!({"path": path, "patterns": ["**"], "max_results": 2});
        let (names, facts) = agent.done("find_files", few).await;
        assert_eq!((names.lines().count(), &facts["isEnd"]), (2, &json!(false)));

        let (lines, facts) = agent.done("search_files", json!({"path": path, "pattern": "t.o"})).await;
        assert_eq!(lines, "a.rs\n2:two\nsrc/b.rs\n1:two (and more)\n");
        assert_eq!((&facts["found"], &facts["files"], &facts["isEnd"]), (&json!(2), &json!(2), &json!(true)));
        let around = json!({"path": path, "pattern": "TWO", "ignore_case": true, "context_lines": 1, "include": ["*.rs"]});
        let (lines, _) = agent.done("search_files", around).await;
        assert_eq!(lines, "a.rs\n1-one\n2:two\n3-three\n");
        let plain = json!({"path": path.join("src/b.rs"), "pattern": "(and", "literal": true});
        let (lines, _) = agent.done("search_files", plain).await;
        assert_eq!(lines, format!("{}\n1:two (and more)\n", path.join("src/b.rs").display()));
        agent.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_with_files_name_the_thing_and_the_limit() {
    let agent = Agent::with(&[]).await;
    // The machine's working directory is /usr.
    let (names, _) = agent.done("list_directory", json!({"path": "."})).await;
    assert!(names.lines().any(|name| name == "bin/"), "{names}");
    for (tool, arguments, words) in [
        ("read_file", json!({"path": "/no/such/file"}), "/no/such/file"),
        ("read_file", json!({"path": ""}), "must not be empty"),
        (
            "read_file",
            json!({"path": "/etc/passwd", "max_bytes": 1_048_577}),
            "from 1 to 1048576, got 1048577",
        ),
        ("read_file", json!({"path": "/etc/passwd", "max_bytes": 0}), "from 1 to 1048576, got 0"),
        ("read_file", json!({"path": "/usr"}), "/usr"),
        ("read_file", json!({"path": "file:relative"}), "file:relative"),
        ("write_file", json!({"path": "/dev/zero", "content": "x"}), "/dev/zero"),
        ("write_file", json!({"path": "/a\u{0}b", "content": "x"}), "path"),
        ("list_directory", json!({"path": "/etc/passwd"}), "/etc/passwd"),
        ("find_files", json!({"path": "/usr", "patterns": []}), "needs one pattern at least"),
        ("find_files", json!({"path": "/usr", "patterns": ["a["]}), "glob `a[`"),
        ("find_files", json!({"path": "/usr", "patterns": ["a"], "max_results": 0}), "from 1 to 2000, got 0"),
        ("find_files", json!({"path": "/no/such", "patterns": ["a"]}), "/no/such"),
        ("search_files", json!({"path": "/usr", "pattern": "("}), "pattern: "),
        (
            "search_files",
            json!({"path": "/usr", "pattern": "a", "context_lines": 21}),
            "from 0 to 20, got 21",
        ),
    ] {
        let said = agent.refused(tool, arguments.clone()).await;
        assert!(said.contains(words), "{tool} {arguments}: {said}");
    }
    agent.leave().await;
}

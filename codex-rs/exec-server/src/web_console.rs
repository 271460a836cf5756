//! The console: a page that the server shows to browsers. Its files are made of `sdk-ts/examples/console` by `just console`
//! and checked in beside this crate's sources, so that nothing but Rust is needed to build the program.

use codex_exec_server_transport::{Site, SiteFile};

/// Where it is.
pub(crate) const HOME: &str = "/console/";

const FILES: &[SiteFile] = &[
    SiteFile {
        name: "",
        content_type: "text/html; charset=utf-8",
        content: include_bytes!("../console/index.html"),
    },
    SiteFile {
        name: "console.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_bytes!("../console/console.js"),
    },
    SiteFile {
        name: "console.css",
        content_type: "text/css; charset=utf-8",
        content: include_bytes!("../console/console.css"),
    },
    SiteFile {
        name: "icon.svg",
        content_type: "image/svg+xml",
        content: include_bytes!("../console/icon.svg"),
    },
];

/// Its files.
pub(crate) fn site() -> Site {
    Site::new(HOME, FILES)
}

//! The console: a page that the server shows to browsers. Its files are made of `sdk-ts/examples/console` by `just console`
//! and checked in beside this crate's sources, so that nothing but Rust is needed to build the program. What is large is in gzip
//! there, since every copy of the program carries it.

use codex_exec_server_transport::{Coding, Site, SiteFile};

/// Where it is.
pub(crate) const HOME: &str = "/console/";

const FILES: &[SiteFile] = &[
    SiteFile {
        name: "",
        content_type: "text/html; charset=utf-8",
        content: include_bytes!("../console/index.html"),
        coding: Coding::Plain,
    },
    SiteFile {
        name: "console.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_bytes!("../console/console.js.gz"),
        coding: Coding::Gzip,
    },
    SiteFile {
        name: "console.css",
        content_type: "text/css; charset=utf-8",
        content: include_bytes!("../console/console.css.gz"),
        coding: Coding::Gzip,
    },
    SiteFile {
        name: "icon.svg",
        content_type: "image/svg+xml",
        content: include_bytes!("../console/icon.svg"),
        coding: Coding::Plain,
    },
];

/// Its files.
pub(crate) fn site() -> Site {
    Site::new(HOME, FILES)
}

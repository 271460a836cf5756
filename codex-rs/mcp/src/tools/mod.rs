//! A backend as an MCP server: running commands, and reading and writing files, as tools for any agent.
//!
//! ```text
//! tools/call → ToolServer → a tool (arguments) ─┬→ UnifiedExec → backend
//!                                               └→ FileSystem
//! ```
//!
//! A tool is one file, and one line in [`table`]. What goes wrong with a call is an answer that the agent reads, in words
//! that say what to do next; only a call of a tool that is not there is an error of the protocol.
//!
//! What may run is for the MCP client to decide, which asks its user before it calls a tool: everything that arrives here
//! is run. A call that the client cancels ends the command that it started; input and reading just stop. When the client
//! goes away, everything that still runs is ended.

mod exec_command;
mod files;
mod list;
mod progress;
mod read;
mod report;
mod server;
mod terminate;
mod tool;
mod write_stdin;

pub use self::server::{ServeError, ToolServer};

use self::tool::Entry;

/// All tools, in the order in which they are shown.
fn table() -> Vec<Entry> {
    vec![
        Entry::of::<exec_command::ExecCommandTool>(),
        Entry::of::<write_stdin::WriteStdinTool>(),
        Entry::of::<read::ReadTool>(),
        Entry::of::<list::ListTool>(),
        Entry::of::<terminate::TerminateTool>(),
        Entry::of::<files::read_file::ReadFileTool>(),
        Entry::of::<files::write_file::WriteFileTool>(),
        Entry::of::<files::list_directory::ListDirectoryTool>(),
        Entry::of::<files::find_files::FindFilesTool>(),
        Entry::of::<files::search_files::SearchFilesTool>(),
    ]
}

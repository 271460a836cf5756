//! `fs/search`: lines by their content.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_core::search_fault::SearchFault;
use codex_exec_server_core::service::SearchEnd;
use codex_exec_server_protocol::fs::{
    FsSearchMatch, FsSearchParams, MAX_CONTEXT_LINES, MAX_SEARCH_PATTERN_BYTES, MAX_SEARCH_RANGES,
};
use codex_exec_server_protocol::path_uri::PathUri;
use grep_matcher::{LineTerminator, Matcher};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkError, SinkMatch};

use super::super::globs::Globs;
use super::super::open::for_reading;
use super::super::place::{Links, Place};
use super::feed::Feed;
use super::ignored::open;
use super::line::{beginning, show, without_end};
use super::tree::{Go, Root};
use super::wanted;

/// The longest line that is searched; a file with a longer one counts as unreadable from there on.
const MAX_LINE_BYTES: usize = 8 << 20;

/// What a compiled pattern may take, and its cache beside it.
const MAX_PATTERN_MEMORY_BYTES: usize = 8 << 20;

/// What a match takes besides its texts, in memory and on the wire, about; and each of its ranges.
const MATCH_BYTES: usize = 64;
const RANGE_BYTES: usize = 32;

/// What a find takes in memory, about.
pub(super) fn weight(found: &FsSearchMatch) -> usize {
    let around = found.before.iter().chain(&found.after).map(|line| line.len() + 4).sum::<usize>();
    let bytes = found.path.as_str().len() + found.text.len() + around;
    bytes + MATCH_BYTES + RANGE_BYTES * found.ranges.len()
}

/// See the module.
pub(in crate::fs) fn find(params: &FsSearchParams, feed: &Feed<FsSearchMatch>) -> Result<SearchEnd, FsFault> {
    let wanted = wanted(params.max_matches)?;
    if params.context_lines > MAX_CONTEXT_LINES {
        return Err(SearchFault::ContextLines(params.context_lines).into());
    }
    let include = Globs::new(&params.include)?;
    let context = params.context_lines as usize;
    let mut search = Search {
        feed,
        matcher: compile(params)?,
        searcher: SearcherBuilder::new()
            // As the matcher sees them.
            .line_terminator(LineTerminator::crlf())
            .line_number(true)
            .before_context(context)
            .after_context(context)
            .heap_limit(Some(MAX_LINE_BYTES))
            .binary_detection(BinaryDetection::quit(b'\0'))
            .build(),
        context,
        left: wanted,
        unreadable: 0,
    };
    let mut overflowed = false;
    match Root::look(&params.path, &params.scope)? {
        Root::File(path) => {
            let (file, _) = for_reading(&Place::new(&params.path, Links::Follow)?)?;
            search.file(file, &path)?;
        }
        Root::Tree(mut tree) => {
            tree.walk(|entry| {
                feed.check()?;
                if entry.is_directory || !(include.is_empty() || include.matches(entry.relative)) {
                    return Ok(Go::On);
                }
                match open(entry.path) {
                    Ok(file) => search.file(file, entry.path)?,
                    Err(_) => search.unreadable += 1,
                }
                Ok(if search.left == 0 { Go::Stop } else { Go::On })
            })?;
            search.unreadable += tree.unreadable;
            overflowed = tree.overflowed;
        }
    }
    Ok(SearchEnd {
        matches: wanted - search.left,
        truncated: search.left == 0 || overflowed,
        unreadable: search.unreadable,
    })
}

fn compile(params: &FsSearchParams) -> Result<RegexMatcher, SearchFault> {
    if params.pattern.len() > MAX_SEARCH_PATTERN_BYTES {
        return Err(SearchFault::PatternTooLong(params.pattern.len()));
    }
    RegexMatcherBuilder::new()
        .case_insensitive(params.ignore_case)
        .fixed_strings(params.literal)
        // A search looks at many lines at once, of which each has its beginning and its end.
        .multi_line(/*yes*/ true)
        // A line ends with either, and its end belongs to no match.
        .crlf(/*yes*/ true)
        .size_limit(MAX_PATTERN_MEMORY_BYTES)
        .dfa_size_limit(MAX_PATTERN_MEMORY_BYTES)
        .build(&params.pattern)
        .map_err(|error| SearchFault::BadPattern(error.to_string()))
}

/// A search under way.
struct Search<'a> {
    feed: &'a Feed<FsSearchMatch>,
    matcher: RegexMatcher,
    searcher: Searcher,
    context: usize,
    /// How many more matches are wanted.
    left: u64,
    unreadable: u64,
}

impl Search<'_> {
    fn file(&mut self, file: File, path: &Path) -> Result<(), FsFault> {
        let Ok(path) = PathUri::try_from(path) else { return Ok(()) };
        let mut lines = Lines {
            feed: self.feed,
            matcher: &self.matcher,
            context: self.context,
            path,
            left: self.left,
            last: 0,
            before: VecDeque::new(),
            open: VecDeque::new(),
        };
        let searched =
            self.searcher.search_reader(&self.matcher, Watched { file, feed: self.feed }, &mut lines);
        // What was found before it broke off is told.
        let closed = lines.close();
        self.left = lines.left;
        match searched {
            Ok(()) => closed,
            Err(Stop::Given(fault)) => Err(fault),
            Err(Stop::Unreadable) => {
                self.feed.check()?;
                self.unreadable += 1;
                closed
            }
        }
    }
}

/// A file that ends with an error as soon as nobody wants to know any more, however long it is.
struct Watched<'a> {
    file: File,
    feed: &'a Feed<FsSearchMatch>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.feed.is_abandoned() {
            return Err(io::Error::other("nobody wants to know"));
        }
        self.file.read(buffer)
    }
}

/// Why a file was not searched to its end.
enum Stop {
    /// The system failed, or a line is too long.
    Unreadable,
    /// The whole search ends.
    Given(FsFault),
}

impl SinkError for Stop {
    fn error_message<T: std::fmt::Display>(_: T) -> Self {
        Self::Unreadable
    }
}

/// The lines of one file that match, with those around them.
struct Lines<'a> {
    feed: &'a Feed<FsSearchMatch>,
    matcher: &'a RegexMatcher,
    context: usize,
    path: PathUri,
    left: u64,
    /// Number of the line that was seen last.
    last: u64,
    /// The lines that were seen last, one behind the other.
    before: VecDeque<String>,
    /// Matches that wait for the lines behind them, one more than there may be of those.
    open: VecDeque<FsSearchMatch>,
}

impl Lines<'_> {
    /// Takes the next line that is seen, if only for what is around it.
    fn line(&mut self, number: u64, line: &[u8]) -> Result<(), Stop> {
        if number != self.last + 1 {
            self.close().map_err(Stop::Given)?;
        }
        self.last = number;
        if self.context == 0 {
            return Ok(());
        }
        let text = beginning(line);
        for open in &mut self.open {
            open.after.push(text.clone());
        }
        while self.open.front().is_some_and(|first| first.after.len() == self.context) {
            let first = self.open.pop_front().expect("it is there");
            self.tell(first).map_err(Stop::Given)?;
        }
        if self.before.len() == self.context {
            self.before.pop_front();
        }
        self.before.push_back(text);
        Ok(())
    }

    /// There are no lines behind those that were seen.
    fn close(&mut self) -> Result<(), FsFault> {
        self.before.clear();
        while let Some(first) = self.open.pop_front() {
            self.tell(first)?;
        }
        Ok(())
    }

    fn tell(&self, found: FsSearchMatch) -> Result<(), FsFault> {
        let bytes = weight(&found);
        self.feed.put(found, bytes)
    }

    /// Whether more lines are of interest.
    fn goes_on(&self) -> bool {
        self.left > 0 || !self.open.is_empty()
    }
}

impl Sink for Lines<'_> {
    type Error = Stop;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, Stop> {
        let line = without_end(found.bytes());
        let number = found.line_number().expect("lines are counted");
        let before: Vec<String> =
            if number == self.last + 1 { self.before.iter().cloned().collect() } else { Vec::new() };
        self.line(number, line)?;
        if self.left == 0 {
            // It stands behind one that is told.
            return Ok(self.goes_on());
        }
        self.left -= 1;
        let mut ranges = Vec::new();
        let all = self.matcher.find_iter(line, |range| {
            ranges.push(range.start()..range.end());
            ranges.len() < MAX_SEARCH_RANGES
        });
        all.map_err(Stop::error_message)?;
        let (text, ranges) = show(line, &ranges);
        let found =
            FsSearchMatch { path: self.path.clone(), line: number, text, ranges, before, after: Vec::new() };
        if self.context == 0 {
            self.tell(found).map_err(Stop::Given)?;
        } else {
            self.open.push_back(found);
        }
        Ok(self.goes_on())
    }

    fn context(&mut self, _: &Searcher, found: &SinkContext<'_>) -> Result<bool, Stop> {
        self.line(found.line_number().expect("lines are counted"), without_end(found.bytes()))?;
        Ok(self.goes_on())
    }
}

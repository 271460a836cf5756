//! The raw side of many commands at once: a fixed number of children is kept going from one thread.

use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::spawn::{Piped, Program, Stdin, reap};
use crate::error::BenchError;
use crate::lanes::Probe;

/// Things to wait for per child: the ends of stdout and stderr, and its own.
const PER_CHILD: u64 = 3;

/// Commands per second with `width` of them in flight.
pub(crate) struct RawInFlight {
    program: Program,
    epoll: OwnedFd,
    width: usize,
    /// Commands per sample.
    count: usize,
}

/// A running child, by what is still open of it.
struct Child {
    pid: Pid,
    open: [Option<OwnedFd>; PER_CHILD as usize],
}

impl RawInFlight {
    pub(crate) fn open(argv: &[&str], width: usize, count: usize) -> Result<Self, BenchError> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(BenchError::raw("epoll"))?;
        Ok(Self { program: Program::new(argv)?, epoll, width, count })
    }

    fn spawn(&self, slot: usize) -> Result<Child, BenchError> {
        let Piped { pid, stdout, stderr, .. } = self.program.spawn_piped(Stdin::Null)?;
        let end = pidfd_open(pid, PidfdFlags::empty()).map_err(BenchError::raw("pidfd_open"))?;
        let open = [stdout, stderr, end];
        for (place, stream) in (slot as u64 * PER_CHILD..).zip(&open) {
            epoll::add(&self.epoll, stream, EventData::new_u64(place), EventFlags::IN)
                .map_err(BenchError::raw("epoll"))?;
        }
        Ok(Child { pid, open: open.map(Some) })
    }
}

impl Child {
    /// Takes the news of one descriptor; true when nothing is left to wait for.
    fn advance(&mut self, which: usize, buffer: &mut [u8]) -> Result<bool, BenchError> {
        let is_end = which as u64 == PER_CHILD - 1;
        if let Some(stream) = &self.open[which]
            && (is_end || rustix::io::read(stream, &mut *buffer).map_err(BenchError::raw("read"))? == 0)
        {
            if is_end {
                reap(self.pid)?;
            }
            // Closing takes it out of the epoll set too.
            self.open[which] = None;
        }
        Ok(self.open.iter().all(Option::is_none))
    }
}

impl Probe for RawInFlight {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let started = Instant::now();
        let mut children: Vec<Option<Child>> = Vec::with_capacity(self.width);
        for slot in 0..self.width.min(self.count) {
            children.push(Some(self.spawn(slot)?));
        }
        let (mut begun, mut ended) = (children.len(), 0);
        let mut buffer = [0; 8192];
        let mut events = [const { Event { flags: EventFlags::empty(), data: EventData::new_u64(0) } }; 256];
        while ended < self.count {
            let ready = epoll::wait(&self.epoll, &mut events, None).map_err(BenchError::raw("epoll"))?;
            for event in &events[..ready] {
                let place = event.data.u64();
                let (slot, which) = ((place / PER_CHILD) as usize, (place % PER_CHILD) as usize);
                let Some(child) = &mut children[slot] else {
                    continue;
                };
                if !child.advance(which, &mut buffer)? {
                    continue;
                }
                ended += 1;
                children[slot] = None;
                if begun < self.count {
                    children[slot] = Some(self.spawn(slot)?);
                    begun += 1;
                }
            }
        }
        Ok(self.count as f64 / started.elapsed().as_secs_f64())
    }
}

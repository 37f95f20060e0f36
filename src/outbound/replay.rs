//! Used identifiers, shared by the processes of one server.
//!
//! A file without a name, inherited over a fork, which also outlives a reload. A lock makes looking
//! up and keeping one operation. An identifier has its place in a bucket that its hash names, so
//! that the cost does not grow with how many there are. The hash has a random key, which the file
//! begins with: nobody can choose identifiers that fill the bucket of another's.

#![allow(clippy::disallowed_types, reason = "this module does the I/O")]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use openssl::sha::Sha256;
use rustix::fs::{FlockOperation, fcntl_lock};

use crate::exchange::{ReplayId, ReplayStore, ReplayStoreUnavailable, Use};
use crate::token::Timestamp;

/// An identifier of 32 bytes, and until when it is kept.
const ENTRY: usize = 40;
/// Entries of a bucket.
const ENTRIES: usize = 64;
const BUCKET: usize = ENTRY * ENTRIES;
/// The key in front of the buckets.
const KEY: usize = 32;
/// Buckets: room for 262,144 identifiers, ten megabytes if all of it is used.
const BUCKETS: u64 = 4_096;

/// A store of used identifiers in a file that the processes of the server inherit.
#[derive(Debug)]
pub struct SharedReplayStore {
    file: File,
    /// The file's lock is the process's: among its threads this one decides.
    turn: Mutex<()>,
}

impl SharedReplayStore {
    /// The store in `file`, which has no name. No other handle of it may be closed in this process
    /// while requests are served: that would end its lock.
    #[must_use]
    pub const fn new(file: File) -> Self {
        Self { file, turn: Mutex::new(()) }
    }

    /// The key, made by whoever needs it first. Whoever asks has the file's lock.
    fn key(&self) -> io::Result<[u8; KEY]> {
        let mut key = [0; KEY];
        read_as_far_as_it_goes(&self.file, &mut key, 0)?;
        if key == [0; KEY] {
            openssl::rand::rand_bytes(&mut key)?;
            self.file.write_all_at(&key, 0)?;
        }
        Ok(key)
    }

    fn look_up(&self, id: &ReplayId, until: Timestamp, now: Timestamp) -> io::Result<Option<Use>> {
        let offset = offset_of(bucket_of(&self.key()?, id));
        let mut bucket = [0; BUCKET];
        read_as_far_as_it_goes(&self.file, &mut bucket, offset)?;
        let mut free = None;
        for (index, entry) in bucket.chunks_exact(ENTRY).enumerate() {
            let Some((kept, kept_until)) = entry.split_first_chunk::<32>() else { continue };
            if kept_until.try_into().map_or(0, Timestamp::from_be_bytes) < now {
                free = free.or(Some(index));
            } else if kept == id.bytes() {
                return Ok(Some(Use::Again));
            }
        }
        let Some(place) = free.and_then(|index| u64::try_from(index.checked_mul(ENTRY)?).ok())
        else {
            return Ok(None);
        };
        let entry = [id.bytes().as_slice(), &until.to_be_bytes()].concat();
        self.file.write_all_at(&entry, offset.saturating_add(place))?;
        Ok(Some(Use::First))
    }
}

impl ReplayStore for SharedReplayStore {
    fn check_and_insert(
        &self,
        id: &ReplayId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Use, ReplayStoreUnavailable> {
        let _turn = self.turn.lock().map_err(|_| ReplayStoreUnavailable)?;
        fcntl_lock(&self.file, FlockOperation::LockExclusive)
            .map_err(|_| ReplayStoreUnavailable)?;
        let found = self.look_up(id, until, now);
        let unlocked = fcntl_lock(&self.file, FlockOperation::Unlock);
        match (found, unlocked) {
            (Ok(Some(used)), Ok(())) => Ok(used),
            _ => Err(ReplayStoreUnavailable),
        }
    }
}

/// The bucket of an identifier.
fn bucket_of(key: &[u8; KEY], id: &ReplayId) -> u64 {
    let mut hash = Sha256::new();
    hash.update(key);
    hash.update(id.bytes());
    let first = hash.finish().first_chunk::<8>().copied().unwrap_or_default();
    u64::from_be_bytes(first).checked_rem(BUCKETS).unwrap_or_default()
}

/// Where a bucket begins.
fn offset_of(bucket: u64) -> u64 {
    let size = |bytes| u64::try_from(bytes).unwrap_or(u64::MAX);
    bucket.saturating_mul(size(BUCKET)).saturating_add(size(KEY))
}

/// Reads into `bytes`; what is behind the file's end is zero.
fn read_as_far_as_it_goes(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    let mut read = 0_usize;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(u64::try_from(read).unwrap_or(u64::MAX))) {
            Ok(0) => break,
            Ok(more) => read = read.saturating_add(more),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn store(name: &str) -> SharedReplayStore {
        let path = std::env::temp_dir().join(format!("replay-{name}-{}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        SharedReplayStore::new(file)
    }

    #[test]
    fn used_once_until_its_time_is_over() {
        let store = store("once");
        let (a, b) = (ReplayId::new("i", "x", "a"), ReplayId::new("i", "x", "b"));
        assert_eq!(store.check_and_insert(&a, 100, 50), Ok(Use::First));
        assert_eq!(store.check_and_insert(&a, 100, 50), Ok(Use::Again));
        assert_eq!(store.check_and_insert(&b, 100, 50), Ok(Use::First));
        assert_eq!(store.check_and_insert(&a, 300, 100), Ok(Use::Again));
        assert_eq!(store.check_and_insert(&a, 300, 101), Ok(Use::First));
        assert_eq!(store.check_and_insert(&a, 300, 101), Ok(Use::Again));
    }

    #[test]
    fn a_full_bucket_does_not_forget() {
        let store = store("full");
        let mut ids = (0..).map(|number| ReplayId::new("i", "x", &format!("{number}")));
        let first = ids.next().unwrap();
        let key = store.key().unwrap();
        assert_eq!(store.key().unwrap(), key);
        let bucket = bucket_of(&key, &first);
        let mates: Vec<_> = ids.filter(|id| bucket_of(&key, id) == bucket).take(ENTRIES).collect();
        let (last, others) = mates.split_last().unwrap();
        assert_eq!(store.check_and_insert(&first, 100, 50), Ok(Use::First));
        for id in others {
            assert_eq!(store.check_and_insert(id, 200, 50), Ok(Use::First));
        }
        assert_eq!(store.check_and_insert(last, 200, 50), Err(ReplayStoreUnavailable));
        assert_eq!(store.check_and_insert(&first, 100, 50), Ok(Use::Again));
        assert_eq!(store.check_and_insert(last, 200, 101), Ok(Use::First));
        assert_eq!(store.check_and_insert(&first, 200, 101), Err(ReplayStoreUnavailable));
    }

    #[test]
    fn of_many_at_once_one_is_first() {
        let store = Arc::new(store("many"));
        let firsts = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (store, firsts) = (Arc::clone(&store), Arc::clone(&firsts));
                std::thread::Builder::new()
                    .spawn(move || {
                        for number in 0..100 {
                            let id = ReplayId::new("i", "x", &format!("{number}"));
                            if store.check_and_insert(&id, 100, 50) == Ok(Use::First) {
                                firsts.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    })
                    .unwrap()
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(firsts.load(Ordering::Relaxed), 100);
    }
}

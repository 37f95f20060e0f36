//! The last good key sets, shared by the processes of one server: a process that is started while
//! an issuer is down, or a reload in the middle of an outage, begins with the keys that the others
//! know.
//!
//! A file without a name, so that nobody else can open it, inherited over a fork. It is written
//! without locks. Each record carries its own hash, so that one torn by two writers counts
//! as none.

#![allow(clippy::disallowed_types, reason = "this module does the I/O")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use openssl::sha::Sha256;

use super::fetch::MAX_DOCUMENT;

/// Room for one issuer's record.
const SLOT: u64 = 2 * MAX_DOCUMENT;
/// Most issuers remembered.
const SLOTS: u64 = 256;
/// Hash, time, length of the name, length of the document.
const HEADER: usize = 32 + 8 + 4 + 4;

/// The memory of key sets.
#[derive(Debug)]
pub struct KeyMemory {
    file: File,
}

/// One issuer's last good key set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// When it was fetched, since the epoch.
    pub(super) fetched: Duration,
    /// The JWK Set.
    pub(super) document: Vec<u8>,
}

impl KeyMemory {
    /// The memory in `file`, which has no name and which the processes of the server inherit.
    #[must_use]
    pub const fn new(file: File) -> Self {
        Self { file }
    }

    /// Remembers `document` as the key set of `name`. Failing is no fault: then it is not there
    /// for the next process, which fetches it itself.
    pub(super) fn store(&self, name: &str, fetched: Duration, document: &[u8]) {
        let Some(record) = encode(name, fetched, document) else { return };
        let own = (0..SLOTS).find(|slot| match self.read(*slot) {
            Some((other, _)) => other == name,
            None => true,
        });
        if let Some(offset) = own.and_then(|slot| slot.checked_mul(SLOT)) {
            let _ = self.file.write_all_at(&record, offset);
        }
    }

    /// The key set of `name`, if one is remembered.
    pub(super) fn load(&self, name: &str) -> Option<Record> {
        (0..SLOTS)
            .map_while(|slot| self.read(slot))
            .find(|(other, _)| other == name)
            .map(|(_, record)| record)
    }

    fn read(&self, slot: u64) -> Option<(String, Record)> {
        let offset = slot.checked_mul(SLOT)?;
        let mut header = [0; HEADER];
        self.file.read_exact_at(&mut header, offset).ok()?;
        let (hash, rest) = header.split_first_chunk::<32>()?;
        let (time, rest) = rest.split_first_chunk::<8>()?;
        let (name_length, rest) = rest.split_first_chunk::<4>()?;
        let (length, _) = rest.split_first_chunk::<4>()?;
        let name_length = usize::try_from(u32::from_be_bytes(*name_length)).ok()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let total = name_length.checked_add(length)?;
        if name_length == 0 || u64::try_from(total).ok()? > SLOT {
            return None;
        }
        let mut text = vec![0; total];
        self.file
            .read_exact_at(&mut text, offset.checked_add(u64::try_from(HEADER).ok()?)?)
            .ok()?;
        let (name, document) = text.split_at_checked(name_length)?;
        let fetched = Duration::from_secs(u64::from_be_bytes(*time));
        if digest(name, fetched, document) != *hash {
            return None;
        }
        let name = String::from_utf8(name.to_vec()).ok()?;
        Some((name, Record { fetched, document: document.to_vec() }))
    }
}

fn encode(name: &str, fetched: Duration, document: &[u8]) -> Option<Vec<u8>> {
    let mut record = digest(name.as_bytes(), fetched, document).to_vec();
    record.extend(fetched.as_secs().to_be_bytes());
    record.extend(u32::try_from(name.len()).ok()?.to_be_bytes());
    record.extend(u32::try_from(document.len()).ok()?.to_be_bytes());
    record.extend(name.as_bytes());
    record.extend(document);
    u64::try_from(record.len()).is_ok_and(|length| length <= SLOT).then_some(record)
}

fn digest(name: &[u8], fetched: Duration, document: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [name, document] {
        hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.update(&fetched.as_secs().to_be_bytes());
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(name: &str) -> KeyMemory {
        let path = std::env::temp_dir().join(format!("auth-bound-{name}-{}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        KeyMemory::new(file)
    }

    #[test]
    fn every_issuer_has_its_own_record_and_a_torn_one_counts_as_none() {
        let memory = memory("records");
        assert_eq!(memory.load("a"), None);
        memory.store("a", Duration::from_secs(1), b"first");
        memory.store("b", Duration::from_secs(2), b"other");
        memory.store("a", Duration::from_secs(3), b"second");
        assert_eq!(
            memory.load("a").unwrap(),
            Record { fetched: Duration::from_secs(3), document: b"second".to_vec() }
        );
        assert_eq!(memory.load("b").unwrap().document, b"other");
        memory.file.write_all_at(b"X", SLOT + u64::try_from(HEADER).unwrap() + 1).unwrap();
        assert_eq!(memory.load("b"), None);
        memory.store("b", Duration::from_secs(4), b"again");
        assert_eq!(memory.load("b").unwrap().document, b"again");
    }

    #[test]
    fn what_does_not_fit_is_not_kept() {
        let memory = memory("size");
        memory.store("a", Duration::ZERO, &vec![b'x'; usize::try_from(SLOT).unwrap()]);
        assert_eq!(memory.load("a"), None);
    }
}

//! Where the data files are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::SystemTime;

use crate::Fault;

/// A directory of the user's, or one of our own that is removed in the end.
pub(crate) enum Directory {
    Given(PathBuf),
    Own(PathBuf),
}

impl Directory {
    /// A new one. That of the user must not be there yet: it stays for him to look at.
    pub(crate) fn for_data(given: Option<&Path>) -> Result<Self, Fault> {
        let directory = match given {
            Some(path) => Self::Given(path.into()),
            None => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
                let name = format!("epsilon-bank-{}-{}", process::id(), now.as_nanos());
                Self::Own(std::env::temp_dir().join(name))
            }
        };
        let path = directory.path();
        fs::create_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Given(path) | Self::Own(path) => path,
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Self::Own(path) = self {
            // Somebody else may have tidied up.
            let _ = fs::remove_dir_all(path);
        }
    }
}

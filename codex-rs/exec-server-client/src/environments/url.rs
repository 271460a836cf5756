//! Addresses of servers, as people write them.

use std::fmt;

use url::{Host, Url};

/// The address of a server: `ws://`, `wss://` or, beyond what the reference takes, `unix:///path`.
///
/// Brought into one form, so that whoever looks at the host here and whoever connects to it later can't read it
/// differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    text: String,
    is_private: bool,
}

/// Why a text is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// There is nothing.
    #[error("is empty")]
    Empty,
    /// It is no URL at all.
    #[error("is no URL: {0}")]
    Malformed(String),
    /// It is one of something else.
    #[error("begins with {0}://, but only ws://, wss:// and unix:/// lead to a server")]
    Scheme(String),
    /// It holds a user name or password, which are never sent.
    #[error("holds a user name or password; show a token instead")]
    Credentials,
    /// The path of a socket is not absolute.
    #[error("must hold an absolute path: unix:///PATH")]
    RelativePath,
}

impl ServerUrl {
    /// Takes `text` for an address; whitespace around it does not count.
    ///
    /// # Errors
    /// [`UrlError`] when it is none.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.starts_with('/') {
                Ok(Self { text: text.to_owned(), is_private: true })
            } else {
                Err(UrlError::RelativePath)
            };
        }
        let url = Url::parse(text).map_err(|error| UrlError::Malformed(error.to_string()))?;
        if !matches!(url.scheme(), "ws" | "wss") {
            return Err(UrlError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        let is_loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let is_private = url.scheme() == "wss" || is_loopback;
        let mut text = String::from(url);
        // Nobody writes it, and it means the same without.
        if text.matches('/').count() == 3 && text.ends_with('/') {
            text.pop();
        }
        Ok(Self { text, is_private })
    }

    /// The address as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether nobody in between can read along: the connection is encrypted or does not leave this machine.
    #[must_use]
    pub const fn is_private(&self) -> bool {
        self.is_private
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_brought_into_one_form_and_tells_whether_it_is_private() {
        for (text, form, is_private) in [
            ("ws://127.0.0.1:8765", "ws://127.0.0.1:8765", true),
            (" ws://LOCALHOST:1/ ", "ws://localhost:1", true),
            ("ws://127.1:1", "ws://127.0.0.1:1", true),
            ("ws://[::1]:1/a?b=c", "ws://[::1]:1/a?b=c", true),
            ("ws://[::2]:1", "ws://[::2]:1", false),
            ("ws://10.0.0.1", "ws://10.0.0.1", false),
            ("ws://localhost.example.org", "ws://localhost.example.org", false),
            ("wss://example.org/x/", "wss://example.org/x/", true),
            ("unix:///run/x.sock", "unix:///run/x.sock", true),
            // One parser would see this machine, another one a user name at another.
            ("ws://127.0.0.1\\@example.org", "ws://127.0.0.1/@example.org", true),
        ] {
            let url = ServerUrl::parse(text).expect(text);
            assert_eq!((url.as_str(), url.is_private()), (form, is_private), "{text}");
        }
    }

    #[test]
    fn what_leads_to_no_server_says_why() {
        for (text, words) in [
            ("", "is empty"),
            (" ", "is empty"),
            ("ws://", "empty host"),
            ("127.0.0.1:1", "is no URL"),
            ("http://x", "begins with http://"),
            ("ws://a b", "is no URL"),
            ("ws://x:99999", "invalid port"),
            ("ws://me:pw@x", "token"),
            ("unix://x", "absolute"),
        ] {
            let error = ServerUrl::parse(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text} says {error}");
        }
    }
}

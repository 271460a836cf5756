//! Which codings of an answer's body a request takes, by its `Accept-Encoding`. Owns the reading of that header alone.

use hyper::header::{self, HeaderMap};

/// Whether the request takes a body in gzip. Without the header every coding will do; with it, one that is named with a
/// weight above zero, be it as `*` (RFC 9110, 12.5.3). A header that can't be read names nothing.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::ACCEPT_ENCODING).iter().peekable();
    if values.peek().is_none() {
        return true;
    }
    let (mut named, mut any) = (None, None);
    for item in values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
        let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
        let is_wanted = is_above_zero(weight);
        match coding.trim() {
            "*" => any = Some(is_wanted),
            coding if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") => {
                named = Some(is_wanted);
            }
            _ => {}
        }
    }
    named.or(any).unwrap_or(false)
}

/// Of `q=0.5` and the like; nothing is 1.
fn is_above_zero(weight: &str) -> bool {
    let Some((_, value)) = weight.split_once('=') else { return true };
    value.trim().parse::<f32>().is_ok_and(|value| value > 0.0)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn takes(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap());
        }
        takes_gzip(&headers)
    }

    #[test]
    fn gzip_is_taken_where_it_is_named_or_anything_will_do() {
        for values in [
            &[][..],
            &["gzip, deflate, br, zstd"],
            &["br", "GZIP;q=0.1"],
            &["x-gzip"],
            &["*"],
            &["identity, *;q=0.5"],
            &["gzip;q=1, *;q=0"],
        ] {
            assert!(takes(values), "{values:?}");
        }
    }

    #[test]
    fn it_is_not_where_it_is_refused_or_others_are_named() {
        for values in [
            &[""][..],
            &["identity"],
            &["br, deflate"],
            &["gzip;q=0"],
            &["*;q=0"],
            &["*, gzip; q=0.000"],
            &["gzip;q=x"],
        ] {
            assert!(!takes(values), "{values:?}");
        }
    }
}

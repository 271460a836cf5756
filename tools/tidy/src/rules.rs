//! The rules, each in a file of its own.

mod dependencies;
mod headers;
mod imports;
mod no_async_trait;
mod test_constants;
#[cfg(test)]
mod testing;

use crate::finding::Finding;
use crate::tree::Package;

/// Everything that is wrong with one crate.
pub(crate) fn check(package: &Package) -> Vec<Finding> {
    let mut findings = dependencies::check(package);
    for source in &package.sources {
        findings.extend(headers::check(source));
        findings.extend(no_async_trait::check(source));
        findings.extend(test_constants::check(source));
        findings.extend(imports::check(package, source));
    }
    findings
}

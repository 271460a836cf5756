//! First-party traits are written without `async_trait`: async functions are part of the language.

use syn::visit::{Visit, visit_path};

use crate::finding::Finding;
use crate::tree::Source;

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut visitor = Visitor { source, findings: Vec::new() };
    visitor.visit_file(&source.file);
    visitor.findings
}

struct Visitor<'a> {
    source: &'a Source,
    findings: Vec<Finding>,
}

impl Visitor<'_> {
    fn name(&mut self, ident: &syn::Ident) {
        if ident == "async_trait" {
            self.findings.push(Finding {
                path: self.source.path.clone(),
                line: ident.span().start().line,
                text: "write the trait without `async_trait`: return a future, boxed where it must be `dyn`"
                    .into(),
            });
        }
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first() {
            self.name(&first.ident);
        }
        visit_path(self, path);
    }

    fn visit_use_path(&mut self, path: &'ast syn::UsePath) {
        self.name(&path.ident);
    }

    fn visit_use_name(&mut self, name: &'ast syn::UseName) {
        self.name(&name.ident);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::source;
    use super::*;

    #[test]
    fn the_attribute_and_the_import_are_found_with_their_lines() {
        let found = check(&source("//! x\nuse async_trait::async_trait;\n#[async_trait]\ntrait T {}\n"));
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(check(&source("//! async_trait in words is fine\ntrait T {}\n")), []);
    }
}

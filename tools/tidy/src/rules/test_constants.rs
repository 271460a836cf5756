//! Bounds and delays are configuration: a test chooses its own values, and what is shipped has no second set of them.

use syn::visit::{Visit, visit_item_const, visit_item_static};

use crate::finding::Finding;
use crate::tree::Source;

pub(super) fn check(source: &Source) -> Vec<Finding> {
    if !source.shipped {
        return Vec::new();
    }
    let mut visitor = Visitor { source, findings: Vec::new() };
    visitor.visit_file(&source.file);
    visitor.findings
}

struct Visitor<'a> {
    source: &'a Source,
    findings: Vec<Finding>,
}

impl Visitor<'_> {
    fn constant(&mut self, attributes: &[syn::Attribute], ident: &syn::Ident) {
        if attributes.iter().any(depends_on_test) {
            self.findings.push(Finding {
                path: self.source.path.clone(),
                line: ident.span().start().line,
                text: format!(
                    "`{ident}` differs under test: take it from a config value, which a test can choose"
                ),
            });
        }
    }
}

/// Whether an attribute is a `cfg` that names `test`, negated or not.
fn depends_on_test(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    let names_test =
        |text: String| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "test");
    list.path.is_ident("cfg") && names_test(list.tokens.to_string())
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        // The tests at a file's foot are theirs to arrange.
        if !module.attrs.iter().any(depends_on_test) {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.constant(&item.attrs, &item.ident);
        visit_item_const(self, item);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.constant(&item.attrs, &item.ident);
        visit_item_static(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::source;
    use super::*;

    #[test]
    fn a_constant_with_another_value_under_test_is_found() {
        let text =
            "//! x\n#[cfg(not(test))]\nconst WAIT_MS: u64 = 1000;\n#[cfg(test)]\nconst WAIT_MS: u64 = 1;\n";
        let found = check(&source(text));
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [3, 5]);
    }

    #[test]
    fn constants_of_tests_and_constants_for_all_are_fine() {
        let text = "//! x\nconst WAIT_MS: u64 = 1;\n#[cfg(test)]\nmod tests {\n    const N: u8 = 1;\n}\n";
        assert_eq!(check(&source(text)), []);
    }
}

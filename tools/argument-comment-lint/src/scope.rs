//! Local variables: which names are bound at some place, and to what.

use std::collections::HashMap;

use syn::Pat;

use crate::index::{Index, parameter};
use crate::types::{Names, Type};

/// A variable.
#[derive(Debug, Clone)]
pub(crate) struct Variable {
    pub(crate) ty: Type,
    /// The parameters of the closure that it was bound to.
    pub(crate) closure: Option<Vec<Option<String>>>,
}

/// The variables of a function, innermost block last.
#[derive(Debug, Default)]
pub(crate) struct Scopes(Vec<HashMap<String, Variable>>);

impl Scopes {
    pub(crate) fn enter(&mut self) {
        self.0.push(HashMap::new());
    }

    pub(crate) fn leave(&mut self) {
        self.0.pop();
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Variable> {
        self.0.iter().rev().find_map(|scope| scope.get(name))
    }

    /// Forgets what a name stands for until the block is left.
    pub(crate) fn hide(&mut self, name: String) {
        self.insert(name, Variable { ty: Type::unknown(), closure: None });
    }

    fn insert(&mut self, name: String, variable: Variable) {
        if self.0.is_empty() {
            self.enter();
        }
        if let Some(scope) = self.0.last_mut() {
            scope.insert(name, variable);
        }
    }

    /// Binds the names of `pattern`, which a value of type `ty` is matched with.
    pub(crate) fn bind(&mut self, index: &Index, names: &Names<'_>, pattern: &Pat, ty: &Type) {
        match pattern {
            Pat::Ident(pattern) => {
                self.insert(pattern.ident.to_string(), Variable { ty: ty.clone(), closure: None });
                if let Some((_, inner)) = &pattern.subpat {
                    self.bind(index, names, inner, ty);
                }
            }
            Pat::Type(pattern) => {
                let declared = names.read(&pattern.ty);
                self.bind(index, names, &pattern.pat, if declared.is_unknown() { ty } else { &declared });
            }
            Pat::Reference(pattern) => self.bind(index, names, &pattern.pat, ty),
            Pat::Paren(pattern) => self.bind(index, names, &pattern.pat, ty),
            Pat::Tuple(pattern) => {
                for (number, element) in pattern.elems.iter().enumerate() {
                    let ty = if ty.name == "()" { ty.argument(number) } else { Type::unknown() };
                    self.bind(index, names, element, &ty);
                }
            }
            Pat::TupleStruct(pattern) => {
                let last =
                    pattern.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
                for (number, element) in pattern.elems.iter().enumerate() {
                    let inner = match (last.as_str(), ty.name.as_str()) {
                        ("Some", "Option") | ("Ok", "Result") => ty.argument(/*index*/ 0),
                        ("Err", "Result") => ty.argument(/*index*/ 1),
                        _ => index.field(&last, &number.to_string()),
                    };
                    self.bind(index, names, element, &inner);
                }
            }
            Pat::Struct(pattern) => {
                let owner = names.path(&pattern.path).name;
                for field in &pattern.fields {
                    let name = match &field.member {
                        syn::Member::Named(name) => name.to_string(),
                        syn::Member::Unnamed(number) => number.index.to_string(),
                    };
                    self.bind(index, names, &field.pat, &index.field(&owner, &name));
                }
            }
            Pat::Slice(pattern) => {
                let element = if ty.name == "[]" || ty.name == "Vec" {
                    ty.argument(/*index*/ 0)
                } else {
                    Type::unknown()
                };
                pattern.elems.iter().for_each(|pattern| self.bind(index, names, pattern, &element));
            }
            Pat::Or(pattern) => pattern.cases.iter().for_each(|case| self.bind(index, names, case, ty)),
            _ => {}
        }
    }

    /// Notes that the name of `pattern` stands for a closure.
    pub(crate) fn bind_closure(&mut self, pattern: &Pat, closure: &syn::ExprClosure) {
        if let Pat::Ident(pattern) = pattern {
            let parameters = closure.inputs.iter().map(parameter).collect();
            self.insert(
                pattern.ident.to_string(),
                Variable { ty: Type::unknown(), closure: Some(parameters) },
            );
        }
    }
}

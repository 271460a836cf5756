//! Which functions a call may reach, and what type an expression has, as far as names tell.
//!
//! There is no type checker here. A guess is never worth more than silence: where names leave open what is called, there
//! are no candidates, or several that then have to agree.

use syn::{Expr, ExprCall, ExprMethodCall, Member};

use crate::common_methods;
use crate::imports::Origin;
use crate::index::{Index, Signature};
use crate::scope::Scopes;
use crate::types::{Names, Type};

/// What names mean at the place of a call.
pub(crate) struct Resolver<'a> {
    pub(crate) index: &'a Index,
    pub(crate) names: Names<'a>,
    pub(crate) scopes: Scopes,
    pub(crate) package: usize,
    /// The file's place in the workspace.
    pub(crate) source: usize,
}

/// What a call may reach.
#[derive(Debug, Default)]
pub(crate) struct Callee {
    /// How a message calls it.
    pub(crate) name: String,
    /// The type whose associated function it is, where that was written.
    pub(crate) owner: String,
    /// For each function that it may be, the names of its parameters in the order of arguments.
    pub(crate) candidates: Vec<Vec<Option<String>>>,
}

impl Callee {
    fn of(name: String, owner: String, arity: usize, signatures: &[&Signature]) -> Self {
        let candidates = signatures.iter().filter_map(|signature| {
            let mut parameters = signature.parameters.clone();
            if signature.method && arity == parameters.len() + 1 {
                // Called by its path, with what it is a method of in front.
                parameters.insert(0, None);
            }
            (parameters.len() == arity).then_some(parameters)
        });
        Self { name, owner, candidates: candidates.collect() }
    }
}

impl Resolver<'_> {
    /// What `call` may reach.
    pub(crate) fn call(&self, call: &ExprCall) -> Callee {
        let Expr::Path(function) = &*call.func else { return Callee::default() };
        let arity = call.args.len();
        if let Some(name) = function.path.get_ident()
            && let Some(variable) = self.scopes.get(&name.to_string())
        {
            // A closure; or a function that was passed here, whose parameters have no names.
            let candidates = variable.closure.iter().filter(|names| names.len() == arity).cloned();
            return Callee { name: name.to_string(), candidates: candidates.collect(), ..Callee::default() };
        }
        let (name, owner) = last_two(&function.path);
        let owner = if owner.starts_with(char::is_uppercase) { owner } else { String::new() };
        Callee::of(name, owner, arity, &self.function(function, arity))
    }

    /// What a method call may reach.
    pub(crate) fn method_call(&self, call: &ExprMethodCall) -> Callee {
        let arity = call.args.len();
        let signatures = self.method(&self.type_of(&call.receiver), &call.method.to_string(), arity);
        Callee::of(call.method.to_string(), String::new(), arity, &signatures)
    }

    fn method(&self, receiver: &Type, name: &str, arity: usize) -> Vec<&Signature> {
        let fits = |one: &&Signature| one.method && one.parameters.len() == arity;
        let mut ty = self.index.expand(receiver.clone());
        while !ty.is_unknown() {
            if self.index.is_ours(&ty) {
                return self.index.owned(&ty.name, name).into_iter().filter(fits).collect();
            }
            match ty.name.as_str() {
                "Arc" | "Box" | "Rc" | "Pin" | "MutexGuard" | "RwLockReadGuard" | "RwLockWriteGuard" => {
                    ty = self.index.expand(ty.argument(/*index*/ 0));
                }
                // A trait of ours may be implemented for what is not ours.
                _ => return self.index.owned(&ty.name, name).into_iter().filter(fits).collect(),
            }
        }
        if common_methods::contains(name) {
            return Vec::new();
        }
        self.index.named(name).iter().filter(|one| one.owner.is_some()).filter(fits).collect()
    }

    /// The functions that a path may lead to.
    fn function(&self, function: &syn::ExprPath, arity: usize) -> Vec<&Signature> {
        let path = &function.path;
        let (name, qualifier) = last_two(path);
        if name.starts_with(char::is_uppercase) {
            // A tuple struct or variant: its fields have no names.
            return Vec::new();
        }
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if function.qself.is_some() || qualifier == "Self" || qualifier.starts_with(char::is_uppercase) {
            return self.associated(function, &name, arity);
        }
        let free = |name: &str| {
            let all = self.index.named(name).iter();
            all.filter(|one| one.owner.is_none() && one.parameters.len() == arity).collect::<Vec<_>>()
        };
        let imports = self.names.imports;
        let (path, origin) = if qualifier.is_empty() {
            let here: Vec<_> = free(&name).into_iter().filter(|one| one.source == self.source).collect();
            if !here.is_empty() {
                return here;
            }
            match imports.path(&name) {
                Some(path) => (path.to_vec(), imports.origin(path)),
                None => {
                    let globs = &imports.globs;
                    return free(&name).into_iter().filter(|one| globs.contains(&one.package)).collect();
                }
            }
        } else {
            (segments.clone(), imports.origin(&segments))
        };
        let Origin::Package(package) = origin else { return Vec::new() };
        let defined = path.last().unwrap_or(&name);
        let module = path.len().checked_sub(2).map_or("", |at| path[at].as_str());
        // A module may go by another name here.
        let module = imports.path(module).and_then(<[String]>::last).map_or(module, String::as_str);
        let everywhere = free(defined);
        let here: Vec<_> = everywhere.iter().copied().filter(|one| one.package == package).collect();
        let exact: Vec<_> = here.iter().copied().filter(|one| one.module == module).collect();
        // What a module or a library re-exports is found by its name alone.
        [exact, here, everywhere].into_iter().find(|set| !set.is_empty()).unwrap_or_default()
    }

    fn associated(&self, function: &syn::ExprPath, name: &str, arity: usize) -> Vec<&Signature> {
        let owner = match &function.qself {
            Some(qself) => self.names.read(&qself.ty),
            None => {
                let mut path = function.path.clone();
                path.segments.pop();
                path.segments.pop_punct();
                self.names.path(&path)
            }
        };
        let owner = self.index.expand(owner);
        let fits = |one: &&Signature| one.parameters.len() + usize::from(one.method) == arity;
        let all: Vec<_> = self.index.owned(&owner.name, name).into_iter().filter(fits).collect();
        let here: Vec<_> = all.iter().copied().filter(|one| one.package == self.package).collect();
        if here.is_empty() { all } else { here }
    }

    /// The type of an expression.
    pub(crate) fn type_of(&self, expression: &Expr) -> Type {
        match expression {
            Expr::Path(path) => self.type_of_path(&path.path),
            Expr::Reference(inner) => self.type_of(&inner.expr),
            Expr::Paren(inner) => self.type_of(&inner.expr),
            Expr::Group(inner) => self.type_of(&inner.expr),
            Expr::Unary(inner) => match self.type_of(&inner.expr) {
                ty if matches!(ty.name.as_str(), "Arc" | "Box" | "Rc" | "MutexGuard") => {
                    ty.argument(/*index*/ 0)
                }
                ty => ty,
            },
            Expr::Struct(literal) => self.names.path(&literal.path),
            Expr::Cast(cast) => self.names.read(&cast.ty),
            Expr::Call(call) => self.type_of_call(call),
            Expr::MethodCall(call) => self.type_of_method_call(call),
            Expr::Await(inner) => match self.type_of(&inner.base) {
                ty if matches!(ty.name.as_str(), "Future" | "BoxFuture") => ty.argument(/*index*/ 0),
                ty => ty,
            },
            Expr::Try(inner) => match self.type_of(&inner.expr) {
                ty if matches!(ty.name.as_str(), "Option" | "Result") => ty.argument(/*index*/ 0),
                _ => Type::unknown(),
            },
            Expr::Field(field) => self.type_of_field(field),
            Expr::Index(index) => match self.type_of(&index.expr) {
                ty if matches!(ty.name.as_str(), "[]" | "Vec") => ty.argument(/*index*/ 0),
                _ => Type::unknown(),
            },
            Expr::Tuple(tuple) => Type {
                name: "()".to_owned(),
                arguments: tuple.elems.iter().map(|element| self.type_of(element)).collect(),
            },
            Expr::Array(array) => {
                Type::with("[]", array.elems.first().map_or_else(Type::unknown, |first| self.type_of(first)))
            }
            Expr::Lit(literal) => Type::named(match literal.lit {
                syn::Lit::Str(_) => "str",
                syn::Lit::ByteStr(_) => "[]",
                _ => "(literal)",
            }),
            Expr::Macro(call) if call.mac.path.is_ident("vec") => Type::named("Vec"),
            Expr::Macro(call) if call.mac.path.is_ident("format") => Type::named("String"),
            _ => Type::unknown(),
        }
    }

    fn type_of_path(&self, path: &syn::Path) -> Type {
        match path.get_ident().map(ToString::to_string) {
            Some(name) if name == "self" => self.names.owner.clone().unwrap_or_else(Type::unknown),
            Some(name) => match self.scopes.get(&name) {
                Some(variable) => variable.ty.clone(),
                // A unit struct.
                None if self.index.is_ours(&Type::named(&name)) => self.names.path(path),
                None => Type::unknown(),
            },
            None => self.type_of_variant(path),
        }
    }

    /// `Event::Closed` is an Event; `Limits::MAX_BYTES` may be anything.
    fn type_of_variant(&self, path: &syn::Path) -> Type {
        let (name, _) = last_two(path);
        let owner = self.names.path(&parent(path));
        let is_variant = name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase);
        if is_variant && self.index.is_ours(&owner) { owner } else { Type::unknown() }
    }

    fn type_of_call(&self, call: &ExprCall) -> Type {
        let Expr::Path(function) = &*call.func else { return Type::unknown() };
        let (name, qualifier) = last_two(&function.path);
        let first = || call.args.first().map_or_else(Type::unknown, |argument| self.type_of(argument));
        match (qualifier.as_str(), name.as_str()) {
            (_, "Some") => return Type::with("Option", first()),
            (_, "Ok") => return Type::with("Result", first()),
            ("Arc" | "Box" | "Rc" | "Mutex" | "RwLock" | "RefCell", "new") => {
                return Type::with(&qualifier, first());
            }
            ("Arc" | "Rc", "clone") => return first(),
            ("Box", "pin") => return Type::with("Pin", first()),
            _ => {}
        }
        if name.starts_with(char::is_uppercase) {
            // `Seq(0)` is a Seq, `Event::Exited(0)` an Event.
            let of_type = qualifier.starts_with(char::is_uppercase);
            return if of_type {
                self.names.path(&parent(&function.path))
            } else {
                self.names.path(&function.path)
            };
        }
        let found = agreed(&self.function(function, call.args.len()));
        if found.is_unknown() && qualifier.starts_with(char::is_uppercase) && qualifier != "Self" {
            let owner = self.names.path(&parent(&function.path));
            // Somebody else's `Type::anything()` is most often a Type; ours may be derived.
            if !self.index.is_ours(&owner) || name == "default" {
                return owner;
            }
        }
        found
    }

    fn type_of_method_call(&self, call: &ExprMethodCall) -> Type {
        let receiver = self.type_of(&call.receiver);
        let name = call.method.to_string();
        match (receiver.name.as_str(), name.as_str()) {
            (
                "Option" | "Result",
                "unwrap" | "expect" | "unwrap_or" | "unwrap_or_default" | "unwrap_or_else",
            ) => return receiver.argument(/*index*/ 0),
            ("Result", "unwrap_err" | "expect_err") => return receiver.argument(/*index*/ 1),
            ("Result", "ok") => return Type::with("Option", receiver.argument(/*index*/ 0)),
            ("Result", "map_err") => return Type::with("Result", receiver.argument(/*index*/ 0)),
            ("Option", "ok_or" | "ok_or_else") => {
                return Type::with("Result", receiver.argument(/*index*/ 0));
            }
            ("Option", "as_ref" | "as_mut" | "take" | "cloned" | "copied" | "as_deref" | "as_deref_mut") => {
                return receiver;
            }
            ("Mutex" | "RwLock", "lock" | "read" | "write") => {
                // Of the standard library, which answers with a result; `?`, `unwrap` and `expect` know what to do.
                return Type::with("Result", receiver.argument(/*index*/ 0));
            }
            ("RefCell", "borrow" | "borrow_mut") => return receiver.argument(/*index*/ 0),
            (_, "clone" | "to_owned" | "by_ref" | "as_mut" | "as_ref") => {
                return receiver;
            }
            _ => {}
        }
        agreed(&self.method(&receiver, &name, call.args.len()))
    }

    fn type_of_field(&self, field: &syn::ExprField) -> Type {
        let mut base = self.index.expand(self.type_of(&field.base));
        while matches!(base.name.as_str(), "Arc" | "Box" | "Rc" | "Pin") {
            base = self.index.expand(base.argument(/*index*/ 0));
        }
        match &field.member {
            Member::Named(name) => self.index.field(&base.name, &name.to_string()),
            Member::Unnamed(number) if base.name == "()" => base.argument(number.index as usize),
            Member::Unnamed(number) => self.index.field(&base.name, &number.index.to_string()),
        }
    }
}

/// What all of them return.
fn agreed(signatures: &[&Signature]) -> Type {
    match signatures {
        [first, rest @ ..] if rest.iter().all(|one| one.returns == first.returns) => first.returns.clone(),
        _ => Type::unknown(),
    }
}

fn last_two(path: &syn::Path) -> (String, String) {
    let mut segments = path.segments.iter().rev().map(|segment| segment.ident.to_string());
    (segments.next().unwrap_or_default(), segments.next().unwrap_or_default())
}

fn parent(path: &syn::Path) -> syn::Path {
    let mut path = path.clone();
    path.segments.pop();
    path.segments.pop_punct();
    path
}

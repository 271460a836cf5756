//! Types as far as a name goes: enough to tell which type's method is called, and no more.

use std::collections::HashMap;

use syn::{
    GenericArgument, GenericParam, Generics, PathArguments, ReturnType, TypeParamBound, WherePredicate,
};

use crate::imports::Imports;

/// A type's own name and its arguments, without references and lifetimes. Traits behind `dyn` and `impl` count as types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Type {
    pub(crate) name: String,
    pub(crate) arguments: Vec<Type>,
}

impl Type {
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), arguments: Vec::new() }
    }

    pub(crate) fn with(name: &str, argument: Type) -> Self {
        Self { name: name.to_owned(), arguments: vec![argument] }
    }

    /// What can't be told from names.
    pub(crate) fn unknown() -> Self {
        Self::named("_")
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.name == "_"
    }

    /// Its argument at `index`.
    pub(crate) fn argument(&self, index: usize) -> Type {
        self.arguments.get(index).cloned().unwrap_or_else(Self::unknown)
    }
}

/// What names mean at some place: imports, generic parameters, and the type that `Self` stands for.
#[derive(Clone)]
pub(crate) struct Names<'a> {
    pub(crate) imports: &'a Imports,
    pub(crate) generics: HashMap<String, Type>,
    pub(crate) owner: Option<Type>,
}

impl Names<'_> {
    /// Adds generic parameters; each stands for the first trait that it is bound by.
    pub(crate) fn add(&mut self, generics: &Generics) {
        for parameter in &generics.params {
            if let GenericParam::Type(parameter) = parameter {
                self.generics.insert(parameter.ident.to_string(), Type::unknown());
                let bound = self.bound(parameter.bounds.iter());
                self.generics.insert(parameter.ident.to_string(), bound);
            }
        }
        for predicate in generics.where_clause.iter().flat_map(|clause| &clause.predicates) {
            if let WherePredicate::Type(predicate) = predicate
                && let syn::Type::Path(bounded) = &predicate.bounded_ty
                && let Some(name) = bounded.path.get_ident().map(ToString::to_string)
                && self.generics.get(&name).is_some_and(Type::is_unknown)
            {
                let bound = self.bound(predicate.bounds.iter());
                self.generics.insert(name, bound);
            }
        }
    }

    fn bound<'b>(&self, mut bounds: impl Iterator<Item = &'b TypeParamBound>) -> Type {
        let path = bounds.find_map(|bound| match bound {
            TypeParamBound::Trait(bound) => Some(&bound.path),
            _ => None,
        });
        path.map_or_else(Type::unknown, |path| self.path(path))
    }

    /// What `ty` says.
    pub(crate) fn read(&self, ty: &syn::Type) -> Type {
        match ty {
            syn::Type::Path(ty) if ty.qself.is_none() => self.path(&ty.path),
            syn::Type::Reference(ty) => self.read(&ty.elem),
            syn::Type::Paren(ty) => self.read(&ty.elem),
            syn::Type::Group(ty) => self.read(&ty.elem),
            syn::Type::Slice(ty) => Type::with("[]", self.read(&ty.elem)),
            syn::Type::Array(ty) => Type::with("[]", self.read(&ty.elem)),
            syn::Type::Tuple(ty) => Type {
                name: "()".to_owned(),
                arguments: ty.elems.iter().map(|element| self.read(element)).collect(),
            },
            syn::Type::TraitObject(ty) => self.bound(ty.bounds.iter()),
            syn::Type::ImplTrait(ty) => self.bound(ty.bounds.iter()),
            syn::Type::BareFn(_) => Type::named("fn"),
            _ => Type::unknown(),
        }
    }

    /// What a function that says `-> …` returns.
    pub(crate) fn returned(&self, output: &ReturnType) -> Type {
        match output {
            ReturnType::Default => Type::named("()"),
            ReturnType::Type(_, ty) => self.read(ty),
        }
    }

    /// The type that a path names.
    pub(crate) fn path(&self, path: &syn::Path) -> Type {
        let (Some(first), Some(last)) = (path.segments.first(), path.segments.last()) else {
            return Type::unknown();
        };
        let first = first.ident.to_string();
        if path.segments.len() == 1 {
            if first == "Self" {
                return self.owner.clone().unwrap_or_else(Type::unknown);
            }
            if let Some(bound) = self.generics.get(&first) {
                return bound.clone();
            }
        } else if first == "Self" || self.generics.contains_key(&first) {
            // An associated type.
            return Type::unknown();
        }
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        Type { name: self.imports.type_name(&segments), arguments: self.arguments(&last.arguments) }
    }

    fn arguments(&self, arguments: &PathArguments) -> Vec<Type> {
        let PathArguments::AngleBracketed(arguments) = arguments else { return Vec::new() };
        arguments
            .args
            .iter()
            .filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(self.read(ty)),
                // `Future<Output = T>`: what the trait is about.
                GenericArgument::AssocType(binding) => Some(self.read(&binding.ty)),
                _ => None,
            })
            .collect()
    }
}

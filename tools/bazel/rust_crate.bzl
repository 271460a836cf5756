"""One crate of the workspace, as Bazel targets.

    codex_rust_crate(
        name = "exec-server-core",
        deps = ["//codex-rs/exec-server-protocol"],
    )

makes the library `:exec-server-core`, its unit tests `:exec-server-core-unit-tests`, and for each `tests/*.rs` (or
`tests/*/main.rs`) a target `:exec-server-core-<stem>-test`. `:exec-server-core-rustfmt-test` and `:exec-server-core-clippy` check
all of them. Third-party dependencies come from the crate's Cargo.toml by
themselves; those of our own are named, so that `visibility` can hold the architecture.
"""

load("@crates//:defs.bzl", "aliases", "all_crate_deps")
load("@rules_rust//rust:defs.bzl", "rust_binary", "rust_clippy", "rust_library", "rust_test", "rustfmt_test")

# As `edition` and `version` of [workspace.package] in codex-rs/Cargo.toml; tools/bazel/lock_check.sh compares them.
EDITION = "2024"
VERSION = "0.1.0"

# Of every test, whatever its size: that is for tests that hang, and a busy machine is no reason to fail.
TIMEOUT = "long"

def _stem(path):
    """The test's name: `tests/process.rs` is `process`, `tests/wire/main.rs` is `wire`."""
    inner = path.removeprefix("tests/").removesuffix(".rs")
    return inner.removesuffix("/main")

def codex_rust_crate(
        name,
        package = None,
        deps = [],
        test_deps = [],
        compile_data = [],
        test_compile_data = [],
        test_data = [],
        test_env = {},
        test_rustc_env = {},
        test_size = "medium",
        binaries = {},
        has_library = True,
        visibility = ["//visibility:public"]):
    """Declares everything that a crate consists of.

    Args:
      name: the folder's name, and the library target's.
      package: the cargo package; "codex-" and the name unless given.
      deps: our own libraries that the library and the binaries need.
      test_deps: our own libraries that only tests need.
      compile_data: files that the sources include.
      test_compile_data: files that the tests include.
      test_data: what the tests run or read.
      test_env: environment of the tests; `$(rootpath ...)` is expanded.
      test_rustc_env: environment of the tests' compiler; `$(rootpath ...)` is expanded.
      test_size: Bazel's size class of the integration tests.
      binaries: main file by the binary's name.
      has_library: whether there is a src/lib.rs.
      visibility: who may depend on the library.
    """
    package = package or "codex-" + name

    # Crates under tools/ belong to the workspace through its link codex-rs/tools.
    here = native.package_name()
    manifest = "codex-rs/" + here if here.startswith("tools/") else here
    crate_name = package.replace("-", "_")
    mains = binaries.values()
    own = [":" + name] if has_library else []
    targets = [":" + binary for binary in binaries]
    normal = all_crate_deps(package_name = manifest, normal = True) + deps
    macros = all_crate_deps(package_name = manifest, proc_macro = True)
    dev = all_crate_deps(package_name = manifest, normal = True, normal_dev = True) + deps + test_deps
    dev_macros = all_crate_deps(package_name = manifest, proc_macro = True, proc_macro_dev = True)

    # What the checks of the whole checkout read.
    native.filegroup(
        name = "sources",
        srcs = native.glob(["Cargo.toml", "src/**", "tests/**", "examples/**"], allow_empty = True),
        visibility = ["//visibility:public"],
    )
    if has_library:
        rust_library(
            name = name,
            srcs = native.glob(["src/**/*.rs"], exclude = mains),
            aliases = aliases(package_name = manifest),
            compile_data = compile_data,
            crate_name = crate_name,
            edition = EDITION,
            proc_macro_deps = macros,
            version = VERSION,
            visibility = visibility,
            deps = normal,
        )
        rust_test(
            name = name + "-unit-tests",
            size = "small",
            timeout = TIMEOUT,
            crate = ":" + name,
            aliases = aliases(package_name = manifest, normal_dev = True, proc_macro_dev = True),
            compile_data = compile_data + test_compile_data,
            data = test_data,
            edition = EDITION,
            env = test_env,
            proc_macro_deps = dev_macros,
            deps = dev,
        )
        targets += [":" + name, ":%s-unit-tests" % name]
    for binary, main in binaries.items():
        rust_binary(
            name = binary,
            srcs = [main] if has_library else native.glob(["src/**/*.rs"]),
            aliases = aliases(package_name = manifest),
            compile_data = compile_data,
            crate_root = main,
            edition = EDITION,
            proc_macro_deps = macros,
            version = VERSION,
            visibility = ["//visibility:public"],
            deps = normal + own,
        )
    for root in native.glob(["tests/*.rs", "tests/*/main.rs"], allow_empty = True):
        test = "%s-%s-test" % (name, _stem(root))
        targets.append(":" + test)
        rust_test(
            name = test,
            size = test_size,
            timeout = TIMEOUT,
            srcs = native.glob(["tests/**/*.rs"]),
            aliases = aliases(package_name = manifest, normal_dev = True, proc_macro_dev = True),
            compile_data = test_compile_data,
            crate_root = root,
            data = test_data,
            edition = EDITION,
            env = test_env,
            proc_macro_deps = dev_macros,
            rustc_env = test_rustc_env,
            version = VERSION,
            deps = dev + own,
        )
    rustfmt_test(
        name = name + "-rustfmt-test",
        size = "small",
        # What only reads the sources can't fail now and then: it is not repeated.
        tags = ["lint"],
        targets = targets,
    )
    rust_clippy(
        name = name + "-clippy",
        testonly = True,
        deps = targets,
    )

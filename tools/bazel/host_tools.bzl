"""The machine's own Rust toolchain as a repository, for machines that can't download one. x86-64 Linux only."""

_TRIPLE = "x86_64-unknown-linux-gnu"

def _host_rust_impl(rctx):
    rustc = rctx.which("rustc")
    if not rustc:
        fail("rustc is not on PATH")
    sysroot = rctx.execute([rustc, "--print", "sysroot"])
    if sysroot.return_code:
        fail(sysroot.stderr)
    root = rctx.path(sysroot.stdout.strip())
    rctx.symlink(root.get_child("bin"), "bin")
    rctx.symlink(root.get_child("lib"), "lib")
    rctx.file("BUILD.bazel", """\
load("@rules_rust//rust:toolchain.bzl", "rust_stdlib_filegroup", "rust_toolchain", "rustfmt_toolchain")

package(default_visibility = ["//visibility:public"])

exports_files(["bin/cargo", "bin/rustc"])

filegroup(name = "rustc", srcs = ["bin/rustc"])
filegroup(name = "rustdoc", srcs = ["bin/rustdoc"])
filegroup(name = "cargo", srcs = ["bin/cargo"])
filegroup(name = "rustfmt", srcs = glob(["bin/rustfmt"], allow_empty = True))
filegroup(name = "clippy_driver", srcs = glob(["bin/clippy-driver"], allow_empty = True))
filegroup(name = "cargo_clippy", srcs = glob(["bin/cargo-clippy"], allow_empty = True))

filegroup(
    name = "rustc_lib",
    srcs = glob(
        [
            "bin/*.so",
            "lib/*.so",
            "lib/rustlib/{t}/codegen-backends/*.so",
            "lib/rustlib/{t}/bin/**",
            "lib/rustlib/{t}/lib/*.so",
        ],
        allow_empty = True,
    ),
)

rust_stdlib_filegroup(
    name = "rust_std",
    srcs = glob(
        [
            "lib/rustlib/{t}/lib/*.rlib",
            "lib/rustlib/{t}/lib/*.rmeta",  # rustc >= 1.95 keeps std's metadata here
            "lib/rustlib/{t}/lib/*.so",
            "lib/rustlib/{t}/lib/*.a",
            "lib/rustlib/{t}/lib/self-contained/**",
        ],
        allow_empty = True,
    ),
)

rust_toolchain(
    name = "rust_toolchain_impl",
    binary_ext = "",
    cargo = ":cargo",
    cargo_clippy = ":cargo_clippy",
    clippy_driver = ":clippy_driver",
    default_edition = "2024",
    dylib_ext = ".so",
    exec_triple = "{t}",
    rust_doc = ":rustdoc",
    rust_std = ":rust_std",
    rustc = ":rustc",
    rustc_lib = ":rustc_lib",
    rustfmt = ":rustfmt",
    staticlib_ext = ".a",
    stdlib_linkflags = ["-lpthread", "-ldl"],
    target_triple = "{t}",
)

toolchain(
    name = "rust_toolchain",
    exec_compatible_with = ["@platforms//cpu:x86_64", "@platforms//os:linux"],
    target_compatible_with = ["@platforms//cpu:x86_64", "@platforms//os:linux"],
    toolchain = ":rust_toolchain_impl",
    toolchain_type = "@rules_rust//rust:toolchain_type",
)

rustfmt_toolchain(
    name = "rustfmt_toolchain_impl",
    rustc = ":rustc",
    rustc_lib = ":rustc_lib",
    rustfmt = ":rustfmt",
)

toolchain(
    name = "rustfmt_toolchain",
    toolchain = ":rustfmt_toolchain_impl",
    toolchain_type = "@rules_rust//rust/rustfmt:toolchain_type",
)
""".replace("{t}", _TRIPLE))

host_rust = repository_rule(
    implementation = _host_rust_impl,
    configure = True,
    environ = ["PATH", "RUSTUP_TOOLCHAIN", "RUSTUP_HOME"],
    local = True,
)

def _host_tools_impl(_mctx):
    host_rust(name = "host_rust")

host_tools = module_extension(implementation = _host_tools_impl)

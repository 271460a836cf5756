//! One list of cases for several places, which must not be told apart: a test of each case in each place.

/// Makes a module for each place with a test for each case, which `crate::$home::$run` runs there. On the reference, at
/// `on_reference`, those that ask for what it lacks say so.
macro_rules! cases_at {
    ($home:ident { $($place:ident: $run:ident)* } everywhere $everywhere:tt not_on_reference $ours:tt) => {
        $(
            mod $place {
                cases_at!(@all $home $run $everywhere $ours);
            }
        )*
        mod reference {
            cases_at!(@reference $home $everywhere $ours);
        }
    };
    (@all $home:ident $run:ident { $($case:ident)* } { $($ours:ident: $reason:literal)* }) => {
        cases_at!(@run $home $run $($case)* $($ours)*);
    };
    (@reference $home:ident { $($case:ident)* } { $($ours:ident: $reason:literal)* }) => {
        cases_at!(@run $home on_reference $($case)*);
        $(
            #[test]
            fn $ours() {
                println!("skipped on the reference: {}", $reason);
            }
        )*
    };
    (@run $home:ident $run:ident $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::$home::$run(super::$case).await;
            }
        )*
    };
}

//! Every kernel timed by criterion, and some peers: `cargo bench -p offkey-benches [-- NAME]`.

mod peers;

use criterion::{Criterion, criterion_group, criterion_main};
use offkey_benches::KERNELS;
use peers::PEERS;

fn kernels(criterion: &mut Criterion) {
    for &(name, make) in KERNELS.iter().chain(PEERS) {
        let mut kernel = make();
        criterion.bench_function(name, |bencher| bencher.iter(&mut kernel));
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);

//! Every kernel timed by criterion: `cargo bench -p offkey-benches [-- NAME]`.

use criterion::{Criterion, criterion_group, criterion_main};
use offkey_benches::KERNELS;

fn kernels(criterion: &mut Criterion) {
    for &(name, make) in KERNELS {
        let mut kernel = make();
        criterion.bench_function(name, |bencher| bencher.iter(&mut kernel));
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);

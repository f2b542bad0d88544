"""The closed-form ratio against scipy's Gaussian densities, in float64: relative 1e-7."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from offkey.models.spectral.likelihood_ratio import Whitening, prior_covariance


@pytest.mark.parametrize(("p", "samples"), [(8, 40), (32, 20), (64, 300)])
@pytest.mark.parametrize("tau", [0.001, 0.01, 0.1])
def test_it_is_twice_the_log_likelihood_ratio_less_a_constant(p, samples, tau):
    rng = np.random.default_rng(p)
    x = rng.standard_normal((samples, p)) * np.geomspace(1, 0.1, p)
    covariance = x.T @ x / samples
    prior = prior_covariance(n_mels=p, mask=np.ones(p, dtype=bool))
    factor = Whitening.of(covariance, prior, ridge=1e-2, tau=tau).factor()

    t = np.trace(covariance) / p
    s = 0.99 * covariance + 0.01 * t * np.eye(p)
    d = rng.standard_normal((25, p))
    normal = multivariate_normal(cov=s)
    anomalous = multivariate_normal(cov=s + tau * t * prior)
    log_ratio = anomalous.logpdf(d) - normal.logpdf(d)
    constant = np.linalg.slogdet(s + tau * t * prior)[1] - np.linalg.slogdet(s)[1]
    np.testing.assert_allclose(np.square(d @ factor).sum(axis=1), 2 * log_ratio + constant, rtol=1e-7)

"""Jobs are composed as Hydra composes them, only faster."""

import pytest
from hydra.errors import MissingConfigException
from omegaconf.errors import OmegaConfBaseException
from support.composing import composing, config

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import load_config, to_config

JOBS = (
    ["units=n4", "filters=w32", "seed=3"],
    ["units=n4", "filters=w32", "seed=4", "data.split_seed=${seed}", "optim.schedule.milestones=[1,2]"],
    ["filters=w32", "model.filters=[8,16,32]", "units=n4", "model.head.latent_dim=null", "augment.flip.p=0.5"],
    ["+experiment=cifar10_20", "data=fake", "data.image_size=[8,16]", 'name="a, b"', "diagnostics=off"],
    ["optim=adam", "optim.betas=[0.8,0.9]", "objective=[macs,params]", "model.units=3"],
    ["trainer.max_epochs=2", "trainer.max_epochs=1", "trainer.max_epochs=2"],
    ["+experiment=fashion_mnist_vae_28", "recipe=paper", "augment=none", "decoder=plain"],
)


def test_jobs_are_those_of_hydra():
    with composing("seed=0,1") as composer:
        for job in [*JOBS, *JOBS[::-1]]:  # none changes what the others share
            assert to_config(composer(job)) == config(*job) == load_config(*job)


def test_what_is_fixed_for_all_jobs():
    command = ("+sweep=bottleneck", "seed=0,1", "data=fake", "units=n3", "dry_run=true", "units=n2,n3")
    with composing(*command) as composer:
        assert composer.fixed >= {"data", "dry_run"}
        assert not composer.fixed & {"seed", "units", "bottleneck"}


def test_typos_are_errors():
    with composing() as composer:
        with pytest.raises(MissingConfigException):
            composer(["units=nope"])
        with pytest.raises(OmegaConfBaseException):
            composer(["optim.lr=much"])
        with pytest.raises(Exception, match="unitz"):
            composer(["model.unitz=3"])


@pytest.mark.parametrize(
    "wrong", ["units=nope", "optim.lr=much", "model.unitz=3", "name=${nope}", "seed=0,1", "seed=-1"]
)
def test_what_tests_share_refuses_as_load_config_does(wrong: str):
    with pytest.raises(ConfigError) as expected:
        load_config(wrong)
    with pytest.raises(ConfigError) as refused:
        config(wrong)
    assert str(refused.value) == str(expected.value)

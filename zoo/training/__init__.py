"""The one training loop: `zoo train` in the command line; in Python

    plan = make_plan("mask-vae/celeba-128", "toy-faces", {"steps": 50})
    folder = run_training(plan, RunFolder.create(Path("run")))

from `zoo.training.plan`, `.runs` and `.session`. `plan` and `options` need no torch.
"""

"""--kernels: the Triton kernels in Triton's interpreter, the check before they are used, the step through them."""

import importlib.util
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import zoo
from train import kernels
from train.config import TrainConfig, TrainError
from train.distributed import Split
from train.kernels import TOLERANCE, compare_kernels, problem_of_kernels, use_fused_kernels
from train.randomness import draw_noise
from train.setup import make_networks, step_settings
from train.state.run_state import make_optimizers
from train.step import STATISTICS, train_step
from train.step_inputs import Batch
from zoo import fused_blocks, fused_plain

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")


INTERPRETED = """
import json, torch, triton
from train.kernels import compare_kernels
from zoo import fused_triton, triton_blocks
assert type(fused_triton._lrelu).__name__ == "InterpretedFunction"
triton_blocks.ELEMENTS, triton_blocks.PROGRAMS = 128, 4  # so small that there are several programs, each with a loop
print(json.dumps(compare_kernels(fused_triton, torch.device("cpu"))))
"""


@pytest.mark.slow
def test_triton_kernels_equal_their_plain_twins_in_tritons_interpreter():
    if importlib.util.find_spec("triton") is None:
        pytest.skip("no Triton here: it has wheels for Linux only")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)}  # read when triton is imported
    done = subprocess.run(
        [sys.executable, "-c", INTERPRETED], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    differences = json.loads(done.stdout)
    assert len(differences) == 36
    assert {k: x for k, x in differences.items() if not x <= TOLERANCE[k.split()[1]]} == {}


def test_plain_twins_have_no_product_that_a_gpu_may_round_to_tf32():
    names = set()

    class Names(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            names.add(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    with Names():
        compare_kernels(fused_plain, CPU)
    assert "leaky_relu" in names
    assert not names & {"convolution", "mm", "bmm", "addmm", "addbmm", "baddbmm", "matmul", "dot", "mv"}


COMPILED = """
import json, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from zoo import fused_triton, triton_rgb
kinds = dict.fromkeys(("x", "y", "g", "out", "coarse", "fine"), "*bf16")
kinds |= dict.fromkeys(("bias", "factor", "sums", "alpha", "weight"), "*fp32") | {"h": "*bf16"}
kinds |= dict.fromkeys(("slope", "eps", "scale"), "fp32")
sizes = {}
for capability in (80, 90):
    for name, kernel in (vars(fused_triton) | vars(triton_rgb)).items():
        if isinstance(kernel, triton.runtime.JITFunction):
            rows = "WIDTH" in kernel.arg_names
            fixed = {"BLOCK": 8 if rows else 1024, "WIDTH": 512, "ACTIVATED": False, "SAME": False, "SIDE": 3,
                     "COLORS": 3, "OF_X": True, "OF_WEIGHT": True}
            fixed = {n: value for n, value in fixed.items() if n in kernel.arg_names}
            signature = {n: "constexpr" if n in fixed else kinds.get(n, "i32") for n in kernel.arg_names}
            constants = {(kernel.arg_names.index(n),): value for n, value in fixed.items()}
            made = triton.compile(ASTSource(kernel, signature, constants), target=GPUTarget("cuda", capability, 32))
            assert ".local" not in made.asm["ptx"], name
            sizes[f"{name} {capability}"] = len(made.asm["cubin"])
print(json.dumps(sizes))
"""


@pytest.mark.slow
def test_every_triton_kernel_compiles_for_ampere_and_hopper_without_a_gpu(tmp_path):
    if importlib.util.find_spec("triton") is None:
        pytest.skip("no Triton here: it has wheels for Linux only")
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", COMPILED], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sizes = json.loads(done.stdout)
    assert len(sizes) == 2 * 13
    assert min(sizes.values()) > 1000  # bytes of machine code


@pytest.mark.gpu
def test_triton_kernels_equal_their_plain_twins_on_cuda():
    assert problem_of_kernels(torch.device("cuda")) is None


@pytest.mark.parametrize("fault", ["lrelu", "unpool"])
def test_a_kernel_that_computes_something_else_is_found_and_not_used(fault, monkeypatch, caplog):
    wrong = types.ModuleType("zoo.fused_triton")
    for name in ("lrelu", "lrelu_backward", "lrelu_pixelnorm", "lrelu_pixelnorm_backward", "lrelu_pool", "unpool",
                 "pool", "fade", "unfade", "refade", "scale_cast", "fold", "from_rgb", "from_rgb_backward", "to_rgb",
                 "to_rgb_backward"):  # fmt: skip
        setattr(wrong, name, getattr(fused_plain, name))
    use(wrong, monkeypatch)
    assert problem_of_kernels.__wrapped__(CPU) is None
    right = getattr(fused_plain, fault)
    setattr(wrong, fault, lambda *args: tree_map_scale(right(*args)))
    problem = problem_of_kernels.__wrapped__(CPU)
    assert problem.startswith("they differ from plain ones: {") and fault in problem
    monkeypatch.setattr(kernels, "problem_of_kernels", lambda device: problem)
    with caplog.at_level("INFO"):
        assert use_fused_kernels("auto", torch.device("cuda")) is False
    assert "fused kernels are not used: they differ" in caplog.text
    with pytest.raises(TrainError, match="--kernels: got fused, expected plain on this machine: they differ"):
        use_fused_kernels("fused", torch.device("cuda"))


def test_a_kernel_that_is_wrong_one_way_only_is_found():
    wrong = types.SimpleNamespace(**vars(fused_plain))
    wrong.fold = lambda x, *others: fused_plain.fold(x, *others) * (1.01 if x.shape[-1] == 4 else 1)
    differences = compare_kernels(wrong, CPU)
    assert {k for k, x in differences.items() if x > TOLERANCE["float32"]} == {f"fold:adjoint {k}" for k in TOLERANCE}


def tree_map_scale(x):
    return tuple(y * 1.001 if y.dtype == torch.float32 else y for y in x) if isinstance(x, tuple) else x * 1.001


def use(module, monkeypatch):
    monkeypatch.setitem(sys.modules, "zoo.fused_triton", module)
    monkeypatch.setattr(zoo, "fused_triton", module, raising=False)


def test_without_triton_or_with_a_compiler_that_fails_the_reason_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "zoo.fused_triton", None)
    monkeypatch.delattr(zoo, "fused_triton", raising=False)
    assert problem_of_kernels.__wrapped__(CPU).startswith("Triton cannot be imported (")
    broken = types.ModuleType("zoo.fused_triton")
    broken.lrelu = lambda *args: (_ for _ in ()).throw(RuntimeError("Failed to find C compiler.\nSet CC."))
    use(broken, monkeypatch)
    assert problem_of_kernels.__wrapped__(CPU) == "RuntimeError (Failed to find C compiler. Set CC.)"


def test_a_cpu_takes_plain_kernels_unless_asked():
    assert [use_fused_kernels(name, CPU) for name in ("auto", "plain", "fused")] == [False, False, True]


@pytest.mark.parametrize(("variant", "parts"), [("paper", 1), ("released", 2)])
def test_fused_iterations_equal_plain_ones_but_for_rounding(variant, parts, monkeypatch):
    monkeypatch.setattr(fused_blocks, "FOLD_FROM", 16)  # so that a folded kernel is shared by the parts
    results = []
    for kind in ("plain", "fused"):
        config = TrainConfig(
            dataset=".", variant=variant, fmap_base=64, fmap_max=12, latent_size=8, augment="none", kernels=kind
        )
        nets = make_networks(config, resolution=16, image_channels=3, label_size=0, device=CPU, precision="fp32")
        optimizers, statistics = make_optimizers(nets, config, 16), torch.zeros(len(STATISTICS))
        for adam in optimizers:
            adam.learning_rate.fill_(1e-3)
        for i, alpha in enumerate((torch.tensor(0.3), torch.tensor(0.9), 1.0)):
            reals = torch.randint(0, 256, (8, 3, 16, 16), generator=torch.Generator().manual_seed(i)).byte()
            noise = draw_noise(torch.Generator(), 0, 8 * i, 8, 8)
            split = Split(8, parts=parts)
            train_step(nets, optimizers, Batch(reals), noise, alpha, statistics, step_settings(config), None, split)
        results.append((statistics, torch.cat([nets.g_flat.vector, nets.d_flat.vector, nets.ema_flat.vector])))
    (plain_sums, plain), (fused_sums, fused) = results
    torch.testing.assert_close(plain_sums, fused_sums, rtol=1e-4, atol=1e-4)
    assert (plain - fused).abs().mean() < 3e-5  # see test_step.py: Adam's first steps
    assert not torch.equal(plain, fused)  # the option is not ignored

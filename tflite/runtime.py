"""Run a crack classifier from a .tflite file on a Raspberry Pi, a Coral or this machine. numpy and LiteRT only.

A file is trusted by hash: LiteRT refuses a truncated file but loads one with a flipped byte in silence. So `Classifier`
compares the sha256 with the sidecar first, then shapes and quantisation, and then asks one question it knows the answer to.

Example:
    classifier = Classifier("opnet-int8-qat.tflite", threads=4)
    tile = load_rgb("tile.jpg", classifier.image_size)
    if classifier.is_crack(tile): ...
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tflite.errors import CrackError, ModelFileError
from tflite.foreign import refuse_foreign
from tflite.graph import EDGETPU_OPERATOR, read_graph
from tflite.looks import cut_looks
from tflite.quiet import first_model
from tflite.scaling import look_up
from tflite.sidecar import Golden, Sidecar, TensorSpec, golden_input, read_sidecar, verify_file

DELEGATES = ("xnnpack", "none", "edgetpu")
EDGETPU_LIBRARY = "libedgetpu.so.1"
_KINDS = {"classify": "classifier", "segment": "segmentation model"}
_ANSWERS = {"classify": "one answer", "segment": "a map of logits"}
_USES = {
    "classify": "Classifiers run with crack-tf predict, or tflite.runtime.Classifier.",
    "segment": "Segmentation models run with crack-tf photo segment, or tflite.segmenter.Segmenter.",
}
# What LiteRT says when a compiled model and its surroundings do not fit, most telling first, and what to do about it. The texts
# are from GitHub: jsk-ros-pkg/coral_usb_ros pull 78, google-coral/pycoral issue 5 and google-coral/tflite issue 2.
_EDGETPU_HINTS = (
    (
        "requires runtime version",
        "The model was compiled for a newer Edge TPU runtime: install libedgetpu 16.0 or newer.",
    ),
    (
        "in custom op handler",
        f"{EDGETPU_LIBRARY} was built for another LiteRT: install a newer build of it (README, Coral).",
    ),
    ("edgetpu-custom-op", "Compiled Edge TPU models need --delegate edgetpu."),
)


@dataclass(frozen=True)
class Nodes:
    """What became of the graph's operators when the tensors were allocated.

    Attributes:
        total: operators in the file.
        delegates: DELEGATE nodes that replaced some of them; 0 proves that no delegate ran.
        remaining: operators left to LiteRT's own kernels.
    """

    total: int
    delegates: int
    remaining: int


class TileModel:
    """A loaded, checked .tflite model that takes one tile of raw pixels at a time: what every task shares.

    Args:
        path: the .tflite file; its sidecar lies beside it.
        threads: CPU threads, at least 1.
        delegate: "xnnpack" (LiteRT's default), "none" (built-in kernels only) or "edgetpu" (Coral; compiled models only).
        trust: skip the sha256 comparison. Only for files made by this very process: a damaged file may crash the interpreter.

    Raises:
        CrackError: if an argument is out of range, LiteRT is not installed, the Edge TPU cannot be opened, or the model is for
            another task.
        ModelFileError: if the file or its sidecar is missing, damaged, or not what the other describes.
    """

    task: str

    def __init__(self, path: str | Path, *, threads: int = 1, delegate: str = "xnnpack", trust: bool = False) -> None:
        if threads < 1:
            raise CrackError(f"threads must be at least 1, got {threads}.")
        if delegate not in DELEGATES:
            raise CrackError(f"delegate {delegate!r}: choose one of {', '.join(DELEGATES)}.")
        self.path = Path(path)
        _check_readable(self.path)  # named before its sidecar is missed
        self.sidecar: Sidecar = read_sidecar(self.path)
        require_task(self.path, self.sidecar, self.task)
        if not trust:
            verify_file(self.path, self.sidecar)
        self._interpreter = load_interpreter(self.path, threads, delegate)
        self._input, self._output = self._check_tensors()
        scaling = self.sidecar.scaling
        self._table = None if scaling is None else scaling.table(self.sidecar.input)
        # The private call is the only way to see DELEGATE nodes: LiteRT has no public one, and get_tensor_details hides them.
        self.nodes: Nodes = count_nodes(self._interpreter._get_ops_details())
        if delegate == "edgetpu" and not (self.nodes.delegates and _is_compiled(self.path)):
            raise ModelFileError(
                f"the Edge TPU took no operator of {self.path}: compile the model with edgetpu_compiler first "
                '(python -m tflite.edgetpu compile), or use delegate "xnnpack".'
            )
        self._check_golden(delegate)

    @property
    def image_size(self) -> int:
        """Side of the square input tile in pixels."""
        return self.sidecar.image_size

    def golden(self) -> Golden:
        """What the model answers to `golden_input` here, with tolerance 0."""
        raise NotImplementedError

    def run(self, tile: np.ndarray) -> np.ndarray:
        """One inference on raw pixels.

        Args:
            tile: uint8 RGB of shape (image_size, image_size, 3).

        Returns:
            The output tensor, in its own units and shape.

        Raises:
            CrackError: if the tile has another shape or dtype.
        """
        size = self.image_size
        if tile.shape != (size, size, 3) or tile.dtype != np.uint8:
            raise CrackError(
                f"a tile must be uint8 of shape ({size}, {size}, 3), got {tile.dtype} of shape {tile.shape}. "
                "tflite.images.load_rgb(path, size) makes one."
            )
        return self._answer(tile)

    def _answer(self, tile: np.ndarray) -> np.ndarray:
        """The output tensor for a tile of the right shape."""
        return self._ask(self._interpreter, tile)

    def _ask(self, interpreter: Any, pixels: np.ndarray) -> np.ndarray:
        """The output tensor of this model, or of the same network at another size, whose tensors have the same numbers."""
        interpreter.set_tensor(self._input, self._as_input(pixels)[np.newaxis])
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(self._output))

    def _as_input(self, tile: np.ndarray) -> np.ndarray:
        """Raw pixels as the input stores them."""
        scaling = self.sidecar.scaling
        if scaling is None or self._table is None:
            return _raw_input(tile, self.sidecar.input.dtype)
        return look_up(self._table, scaling.select(tile))

    def _check_tensors(self) -> tuple[int, int]:
        """Compare the file's tensors with the sidecar's; returns the input and output tensor numbers."""
        numbers = []
        for name, expected, details in (
            ("input", self.sidecar.input, self._interpreter.get_input_details()),
            ("output", self.sidecar.output, self._interpreter.get_output_details()),
        ):
            if len(details) != 1:
                raise ModelFileError(
                    f"{self.path} has {len(details)} {name}s, expected one. It is no model of this project."
                )
            found = tensor_spec(details[0])
            if found != expected:
                raise ModelFileError(
                    f"{self.path}: the {name} is {_describe(found)}, its sidecar says {_describe(expected)}. "
                    "The two do not belong together: copy both again or export the model again."
                )
            numbers.append(int(details[0]["index"]))
        answer = self.sidecar.output.shape
        fits = math.prod(answer) == self.sidecar.head.outputs if self.task == "classify" else answer[0] == 1
        if self.sidecar.input.shape[0] != 1 or not fits:
            raise ModelFileError(
                f"{self.path} maps {self.sidecar.input.shape} to {answer}, expected one tile and its {_ANSWERS[self.task]}."
            )
        return numbers[0], numbers[1]

    def _check_golden(self, delegate: str) -> None:
        golden = self.sidecar.golden
        if golden is None:
            return
        found = self.golden()
        pairs = [(found.output, golden.output), *zip(found.grid, golden.grid, strict=True)]
        answer, expected = max(pairs, key=lambda pair: abs(pair[0] - pair[1]))
        # Written so that NaN fails too, wherever in the list it is.
        if not all(abs(here - there) <= golden.tolerance for here, there in pairs):
            if delegate == "none":
                advice = (
                    'Where delegate "xnnpack" gives that answer, the file is whole, and the model hangs on how kernels round: it is '
                    "none for a board. Train it longer, and export it again."
                )
            else:
                advice = 'The file or this runtime is faulty: try delegate "none", and export the model again if that differs too.'
            raise ModelFileError(
                f"{self.path} answers {answer:g} to the golden tile with delegate {delegate!r}, its sidecar says {expected:g} +- "
                f"{golden.tolerance:g}. {advice}"
            )


class Classifier(TileModel):
    """A loaded, checked model that answers crack or no crack, one tile at a time. Further arguments and errors: see `TileModel`.

    Args:
        quick: of a file that looks twice, take the second look only where it could make a crack of the tile: where the first is no more
            than the sidecar's `second_view_gain` below the threshold. Clean tiles keep the first look's logit, and a flight takes about
            half the time. A crack that the second look alone would call one is lost where its gain is larger than that;
            `studies/looks.py` met none. Not on the Edge TPU, whose files cannot be cut.

    Attributes:
        second_looks: how many times a quick classifier has looked again.
    """

    task = "classify"

    def __init__(
        self, path: str | Path, *, threads: int = 1, delegate: str = "xnnpack", trust: bool = False, quick: bool = False
    ) -> None:
        self.second_looks = 0
        self._looks: tuple[_Part, _Part] | None = None
        self._final_below = -math.inf  # a first look's logit
        super().__init__(path, threads=threads, delegate=delegate, trust=trust)
        if quick and self.sidecar.second_view_gain is not None and delegate != "edgetpu":
            parts = _cut_once(self.path, self.sidecar.sha256)
            if parts is not None:
                first, rest = (_Part(load_interpreter(self.path, threads, delegate, part)) for part in parts)
                self._looks = first, rest
                self._final_below = self.sidecar.threshold.logit - self.sidecar.second_view_gain

    def raw(self, tile: np.ndarray) -> float:
        """One inference on raw pixels.

        Args:
            tile: uint8 RGB of shape (image_size, image_size, 3).

        Returns:
            The answer as one number in units of the output tensor, larger the more it speaks for a crack (see `tflite.heads`):
            an integer value for int8 and uint8; of a float output a logit, or a probability where the model answers with one.

        Raises:
            CrackError: if the tile has another shape or dtype.
        """
        return float(self.sidecar.head.raw(self.run(tile).reshape(-1)))

    def _answer(self, tile: np.ndarray) -> np.ndarray:
        if self._looks is None:
            return super()._answer(tile)
        first, rest = self._looks
        pixels = self._as_input(tile)[np.newaxis]
        look = first(pixels)
        if self.to_logit(float(look.item())) < self._final_below:
            return look
        self.second_looks += 1
        return rest(pixels, look)

    def golden(self) -> Golden:
        """What the model answers to `golden_input` here, with tolerance 0."""
        return Golden(self.raw(golden_input(self.image_size)), 0.0)

    def decide(self, raw: float) -> bool:
        """Whether a `raw` answer means crack. Quantised models compare integers; nothing is dequantised."""
        return bool(self.sidecar.calls_crack(raw))

    def to_logit(self, raw: float) -> float:
        """The logit that a `raw` answer stands for."""
        output = self.sidecar.output
        return float(self.sidecar.head.logit(raw, output.scale, output.zero_point))

    @property
    def unit(self) -> str:
        """What a `raw` answer counts: "step" of an integer output, else "logit" or "probability"."""
        return "step" if self.sidecar.output.quantised else self.sidecar.head.unit

    def logit(self, tile: np.ndarray) -> float:
        """Logit of one tile, uint8 (image_size, image_size, 3)."""
        return self.to_logit(self.raw(tile))

    def logits(self, tiles: np.ndarray) -> np.ndarray:
        """Logits of many tiles, one inference each: uint8 (n, image_size, image_size, 3) to float32 (n,)."""
        return np.array([self.logit(tile) for tile in tiles], dtype=np.float32)

    def is_crack(self, tile: np.ndarray) -> bool:
        """The decision for one tile, uint8 (image_size, image_size, 3), at the sidecar's threshold."""
        return self.decide(self.raw(tile))


@lru_cache(maxsize=1)
def _cut_once(path: Path, sha256: str) -> tuple[bytes, bytes] | None:
    """`cut_looks`, for all threads that run the same file."""
    return cut_looks(path)


class _Part:
    """A part of a file, see `tflite.looks`: tensors in, one tensor out."""

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._inputs = [details["index"] for details in interpreter.get_input_details()]
        self._output = interpreter.get_output_details()[0]["index"]

    def __call__(self, *tensors: np.ndarray) -> np.ndarray:
        for number, tensor in zip(self._inputs, tensors, strict=True):
            self._interpreter.set_tensor(number, tensor)
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._output))


def require_task(path: str | Path, sidecar: Sidecar, task: str) -> None:
    """Refuse a model that was made for another task.

    Args:
        path: of the model file, for the message.
        sidecar: of the model.
        task: "classify" or "segment".

    Raises:
        CrackError: if the sidecar names another one.
    """
    if sidecar.task == task:
        return
    raise CrackError(
        f"{path} is a {_KINDS[sidecar.task]} ({_ANSWERS[sidecar.task]} per tile), and a {_KINDS[task]} "
        f"({_ANSWERS[task]}) is needed here. {_USES[sidecar.task]}"
    )


def tensor_spec(details: Mapping[str, Any]) -> TensorSpec:
    """The `TensorSpec` of one entry of the interpreter's get_input_details() or get_output_details()."""
    scale, zero_point = details["quantization"]
    shape = tuple(int(side) for side in details["shape"])
    return TensorSpec(shape, np.dtype(details["dtype"]).name, float(scale), int(zero_point))


def count_nodes(operators: Sequence[Mapping[str, Any]]) -> Nodes:
    """Count what a delegate took.

    LiteRT keeps replaced operators in its list and appends DELEGATE nodes behind them. Which ones were replaced follows from
    the tensors: everything between a DELEGATE node's outputs and its inputs.

    Args:
        operators: the interpreter's _get_ops_details(): "op_name", "inputs" and "outputs" (tensor numbers) per node.
    """
    originals = [node for node in operators if node["op_name"] != "DELEGATE"]
    delegates = [node for node in operators if node["op_name"] == "DELEGATE"]
    producer = {int(tensor): number for number, node in enumerate(originals) for tensor in node["outputs"]}
    taken: set[int] = set()
    for delegate in delegates:
        border = {int(tensor) for tensor in delegate["inputs"]}
        pending = [int(tensor) for tensor in delegate["outputs"]]
        while pending:
            number = producer.get(pending.pop())
            if number is None or number in taken:
                continue
            taken.add(number)
            pending += [int(tensor) for tensor in originals[number]["inputs"] if int(tensor) not in border]
    return Nodes(total=len(originals), delegates=len(delegates), remaining=len(originals) - len(taken))


def _check_readable(path: Path) -> None:
    refuse_foreign(path)
    try:
        with path.open("rb") as stream:
            empty = not stream.read(1)
    except OSError as error:
        beside = sorted(file.name for file in path.parent.glob("*.tflite"))
        there = f" In {path.parent}: {', '.join(beside)}." if beside and not path.exists() else ""
        raise ModelFileError(f"cannot read model {path}: {error.strerror}.{there}") from None
    if empty:
        raise ModelFileError(f"model {path} is empty (0 bytes). Copy it again.")


def load_interpreter(path: Path, threads: int, delegate: str, content: bytes | None = None) -> Any:
    """LiteRT's interpreter of a file, tensors allocated. `TileModel` checks the file first.

    Args:
        path: the .tflite file.
        threads: CPU threads.
        delegate: one of `DELEGATES`.
        content: instead of the file's, see `tflite.windows`.

    Raises:
        CrackError: if LiteRT is not installed, or the Edge TPU cannot be opened.
        ModelFileError: if LiteRT cannot load the file.
    """
    _check_readable(path)
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError as error:
        raise CrackError(f"LiteRT is not installed ({error}). Run: pip install -r requirements-device.txt") from None
    options: dict[str, Any] = {"num_threads": threads}
    if delegate == "none":
        options["experimental_op_resolver_type"] = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    elif delegate == "edgetpu":
        options["experimental_delegates"] = [_edgetpu()]
    try:
        source = {"model_path": str(path)} if content is None else {"model_content": content}
        with first_model():
            interpreter = Interpreter(**source, **options)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        hint = next((hint for text, hint in _EDGETPU_HINTS if text in reason), "Export or copy it again.")
        raise ModelFileError(f"LiteRT cannot load {path} ({reason}). {hint}") from None
    return interpreter


def _is_compiled(path: Path) -> bool:
    """Whether a file was compiled for the Edge TPU. DELEGATE nodes do not tell: XNNPACK takes what the Edge TPU leaves."""
    return any(operator.name == EDGETPU_OPERATOR for operator in read_graph(path).operators)


def _edgetpu() -> Any:
    from ai_edge_litert.interpreter import load_delegate

    try:
        # Tried by hand first: when the library is missing, load_delegate leaves a half-built object whose destructor complains.
        ctypes.CDLL(EDGETPU_LIBRARY)
    except OSError as error:
        raise CrackError(
            f'delegate "edgetpu": {EDGETPU_LIBRARY} cannot be loaded ({error}). Install libedgetpu1-std from Coral\'s apt '
            'repository (https://coral.ai/software), or use delegate "xnnpack".'
        ) from None
    try:
        return load_delegate(EDGETPU_LIBRARY)
    except (ValueError, RuntimeError, OSError) as error:
        raise CrackError(
            f'delegate "edgetpu": no Edge TPU answered ({" ".join(str(error).split())}). Plug the stick in, check that this user '
            "is in the plugdev group and that no other process holds it."
        ) from None


def _raw_input(tile: np.ndarray, dtype: str) -> np.ndarray:
    """Raw pixels in the input's type. int8 models take pixel - 128, which is the same byte with its top bit flipped."""
    if dtype == "uint8":
        return tile
    return (tile ^ 0x80).view(np.int8) if dtype == "int8" else tile.astype(np.float32)


def _describe(spec: TensorSpec) -> str:
    quantisation = f" with scale {spec.scale:g}, zero point {spec.zero_point}" if spec.quantised else ""
    return f"{spec.dtype} {list(spec.shape)}{quantisation}"

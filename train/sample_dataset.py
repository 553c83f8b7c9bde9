"""Single samples for notebooks and for DataLoaders of one's own: a map-style torch Dataset."""

import torch
from torch.utils.data import Dataset

from shards.format.recipe import Recipe
from shards.format.shardset import ShardSet
from train.data.shard_dataset import BatchReader, LoaderSettings
from train.data.views import EVALUATION
from train.data.window import Window
from train.models.streams import stream_of

LabeledInputs = tuple[tuple[torch.Tensor, ...], int]


class SampleDataset(Dataset[LabeledInputs]):
    """What a model sees of every sample in evaluation, unaugmented: `dataset[n]` is (inputs, class).

    `train` reads whole batches, faster; this is for looking at samples and for training loops of one's own. It may be
    copied into worker processes: each opens the shards itself.
    """

    def __init__(
        self,
        shards: ShardSet,
        model: str = "VTN_HCPF",
        window: Window | None = None,
        image_size: int = 224,
        recipe: Recipe | None = None,
    ) -> None:
        """Prepare it; nothing is read.

        Args:
            shards: as `open_shards` gives them.
            model: whose inputs are wanted, named as in `train --model`.
            window: L frames, and the stride between them; 16 frames, 2 apart, by default.
            image_size: side in pixels of the crops.
            recipe: of the preprocessing; that of the shards by default.

        Raises:
            InputError: no such model, or a sample lacks what it reads.
        """
        with_depth = model.endswith("_D")
        self.shards, self.image_size = shards, image_size
        self._settings = LoaderSettings(window or Window(), recipe or shards.dataset.recipe, with_depth, num_workers=0)
        self._kind = stream_of(model).reader
        self._reader: BatchReader | None = None
        self._kind.check(shards, self._settings)

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, sample: int) -> LabeledInputs:
        """The inputs, float32 without the dimension of batches, and the class (-1: none) of a sample.

        Of VTN_HCPF: crops (L, 2, 3, size, size), normalized as ImageNet's, and pose features (L, 106); VTN_HCPF_D has
        depth crops after them.

        Raises:
            InputError: the sample is damaged.
        """
        if not 0 <= sample < len(self):
            raise IndexError(f"{sample}: there are {len(self)} samples")
        if self._reader is None:
            self._reader = self._kind(self.shards, self._settings)
        batch = self._reader.read([sample], [EVALUATION], 1, None).map(torch.from_numpy)
        inputs = batch.inputs(self.image_size, training=False)
        return tuple(tensor[0] for tensor in inputs), int(batch.labels[0])

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_reader": None}  # open files do not travel to workers

    def __repr__(self) -> str:
        return f"<SampleDataset of {self.shards!r}>"

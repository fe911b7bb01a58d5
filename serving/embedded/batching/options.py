"""TensorFlow Serving's batching parameters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchingOptions:
    """TensorFlow Serving's batching parameters, with its defaults."""

    max_batch_size: int = 1000
    """Most rows in a batch."""
    batch_timeout_seconds: float = 0.0
    """Longest wait of a batch for more rows while a thread is free."""
    max_enqueued_batches: int = 10
    """Most batches in a queue; more requests are refused."""
    num_batch_threads: int = 1
    """Batches that run at the same time."""
    allowed_batch_sizes: tuple[int, ...] = ()
    """Sizes that a batch is padded to, ascending; empty: no padding."""
    pad_variable_length_inputs: bool = False
    """Whether rows of different shapes are padded to a common one."""
    max_execution_batch_size: int | None = None
    """Most rows in a batch, if larger requests are split over several batches. Then
    `max_batch_size` limits the rows of a request. None: requests are not split."""

    def __post_init__(self) -> None:
        """Refuse what TensorFlow Serving refuses.

        Raises:
            ValueError: If a number is out of its range.
        """
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"`{name}` must be positive. Received: {getattr(self, name)}"
                )
        if self.batch_timeout_seconds < 0:
            raise ValueError(
                "`batch_timeout_micros` must not be negative. Received: "
                f"{self.batch_timeout_seconds * 1e6:.0f}"
            )
        if self.max_execution_batch_size is not None and not (
            1 <= self.max_execution_batch_size <= self.max_batch_size
        ):
            raise ValueError(
                "`max_execution_batch_size` must be from 1 to max_batch_size, which is "
                f"{self.max_batch_size}. Received: {self.max_execution_batch_size}"
            )
        sizes = self.allowed_batch_sizes
        if sizes and sizes[-1] != self.max_batch_size:
            raise ValueError(
                f"Last entry in allowed_batch_sizes must match max_batch_size; last "
                f"entry was {sizes[-1]}; expected {self.max_batch_size}"
            )
        if list(sizes) != sorted(set(sizes)) or (sizes and sizes[0] < 1):
            raise ValueError(
                "allowed_batch_sizes entries must be positive and monotonically "
                f"increasing. Received: {list(sizes)}"
            )

    @property
    def batch_rows(self) -> int:
        """Most rows in a batch."""
        return self.max_execution_batch_size or self.max_batch_size

    def padded_size(self, size: int) -> int:
        """Return the allowed size that `size` rows are padded to."""
        return next((each for each in self.allowed_batch_sizes if each >= size), size)

"""What ``run_ranks`` is compared with, in a file of its own: a spawned process loads this file, and nothing but torch."""

import torch.distributed as dist
import torch.multiprocessing

__all__ = ["spawn"]


def spawn(world_size: int) -> None:
    """Start processes that form a group and part, by torch's own launcher."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True)
    torch.multiprocessing.spawn(_join_and_leave, args=(world_size, store.port), nprocs=world_size)


def _join_and_leave(rank: int, world_size: int, port: int) -> None:
    dist.init_process_group("gloo", store=dist.TCPStore("127.0.0.1", port), rank=rank, world_size=world_size)
    dist.destroy_process_group()

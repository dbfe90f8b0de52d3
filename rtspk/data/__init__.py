"""The recordings that ship: a conversation, clips of two of its speakers, and who speaks when."""

from pathlib import Path

__all__ = ["CONVERSATION", "DEMO"]

DEMO: Path = Path(__file__).parent / "demo"
CONVERSATION: Path = DEMO / "conversation.opus"

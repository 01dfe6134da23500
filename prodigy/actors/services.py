"""The refs of a run's services, and its disk; wired once and handed to whoever works for the run."""

import msgspec

from prodigy.actors.dead_letters import DeadLettersRef
from prodigy.actors.governor import GovernorRef
from prodigy.actors.host import Host
from prodigy.actors.hosts import HostsRef
from prodigy.actors.merger import MergerRef
from prodigy.actors.recorder import RecorderRef
from prodigy.actors.resting import Disk
from prodigy.actors.workspace_requests import WorkspacesRef
from prodigy.git.forge import Forge
from supervisors import DynamicSupervisorRef


class Services(msgspec.Struct, frozen=True):
    """What phases and agents use."""

    recorder: RecorderRef
    workspaces: WorkspacesRef
    hosts: HostsRef
    merger: MergerRef
    dead_letters: DeadLettersRef
    governor: GovernorRef
    crew: DynamicSupervisorRef
    disk: Disk
    host: Host
    forge: Forge

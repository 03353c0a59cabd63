"""What people must look at at once is said at the highest level, with what they need to know."""

from structlog.testing import capture_logs

from node.alarms import sound_alarm
from node.consensus.messages import QuorumDisagrees, VoteForgotten, VoteKind
from tests.scenarios.stage import Stage


def test_a_quorum_that_disagrees_and_an_old_vote_log_are_said_as_loudly_as_can_be() -> None:
    stage = Stage()
    stage.block("A", view=1)
    rejection = stage.executed("A", is_valid=False).rejection
    assert rejection is not None
    with capture_logs() as lines:
        sound_alarm(QuorumDisagrees(stage.header("A"), rejection))
        sound_alarm(VoteForgotten(stage.vote(VoteKind.NULLIFY, 2, view=7)))
    assert [line["log_level"] for line in lines] == ["critical", "critical"]
    assert (lines[0]["height"], lines[1]["kind"], lines[1]["view"]) == (1, "NULLIFY", 7)

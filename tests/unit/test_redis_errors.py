import pickle

import pytest
from redis import exceptions

from steward.clients.redis_errors import Asked, RedisCommandFailed, RedisRefused, RedisUnavailable
from steward.errors import is_transient

ASKED = Asked("redis-1:6379 and 5 more", "limiter")


def beneath(cause):
    """As the client tells why no node could be asked."""
    error = exceptions.RedisClusterException(f"Redis Cluster cannot be connected: {cause}")
    error.__cause__ = cause
    return error


PASSING = [
    exceptions.ConnectionError("Error 111 connecting to 127.0.0.1:6379. Connection refused."),
    exceptions.TimeoutError("Timeout reading from socket"),
    exceptions.BusyLoadingError("Redis is loading the dataset in memory"),
    exceptions.ClusterDownError("The cluster is down"),
    exceptions.ClusterError("TTL exhausted."),
    exceptions.SlotNotCoveredError('Slot "1" not covered by the cluster.'),
    exceptions.ReadOnlyError("You can't write against a read only replica."),
    exceptions.TryAgainError("Multiple keys request during rehashing of slot"),
    exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
    exceptions.ResponseError("OOM command not allowed when used memory > 'maxmemory'. script: 1, on @user_function:1."),
    exceptions.RedisClusterException("Redis Cluster cannot be connected. Please provide at least one reachable node: "),
    beneath(exceptions.TimeoutError("Timeout connecting to server")),
    beneath(OSError(111, "Connection refused")),
]
REFUSED = [
    exceptions.AuthenticationError("invalid username-password pair or user is disabled."),
    exceptions.NoPermissionError("this user has no permissions to run the 'get' command"),
    exceptions.ResponseError("The user executing the script can't run this command or subcommand script: 1"),
    exceptions.ConnectionError(
        "Error 1 connecting to h:1. [SSL: CERTIFICATE_VERIFY_FAILED] unable to get local issuer."
    ),
    beneath(exceptions.AuthenticationError("invalid username-password pair or user is disabled.")),
    beneath(
        beneath(exceptions.NoPermissionError("User limiter has no permissions to run the 'cluster|slots' command"))
    ),
]
FAILED = [
    exceptions.ResponseError("Function not found"),
    exceptions.ResponseError("wrong kind of value"),
    exceptions.DataError("Invalid input of type: 'NoneType'."),
    exceptions.RedisClusterException("MSET - all keys must map to the same key slot"),
]


@pytest.mark.parametrize("error", PASSING, ids=str)
def test_what_waiting_may_cure_is_unavailable(error):
    told = ASKED.words(error)
    assert isinstance(told, RedisUnavailable)
    assert is_transient(told)
    assert "redis-1:6379 and 5 more" in told.message


@pytest.mark.parametrize("error", REFUSED, ids=str)
def test_what_a_person_has_to_mend_is_refused_and_not_waited_for(error):
    told = ASKED.words(error)
    assert isinstance(told, RedisRefused)
    assert not is_transient(told)
    assert told.hint


@pytest.mark.parametrize("error", FAILED, ids=str)
def test_a_mistake_is_told_in_rediss_own_words(error):
    told = ASKED.words(error)
    assert isinstance(told, RedisCommandFailed)
    assert told.answer == str(error)
    assert not is_transient(told)


def test_what_leaves_the_block_holds_nothing_of_the_client_and_can_be_pickled():
    error = exceptions.ConnectionError("closed")
    # redis-py hangs the connection, and with it the password, onto some of its errors.
    error.connection = {"password": "hunter2"}
    with pytest.raises(RedisUnavailable) as raised, ASKED.in_words():
        raise error
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    revived = pickle.loads(pickle.dumps(ASKED.words(exceptions.ResponseError("Function not found"))))  # noqa: S301 -- our own
    assert revived.answer == "Function not found"
    assert b"hunter2" not in pickle.dumps(raised.value)


def test_anything_else_passes_as_it_is():
    with pytest.raises(KeyError), ASKED.in_words():
        raise KeyError

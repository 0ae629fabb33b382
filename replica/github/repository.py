"""The repository's deployments with their statuses, its workflow runs, and whoever asks whether they may go on."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from replica.github.configuration import Configuration
from replica.github.errors import Refusal, not_found, unfit
from replica.github.hook import Hook
from replica.github.payloads import Payload, example, now
from replica.github.store import Document, Store

_STATES = ("error", "failure", "inactive", "in_progress", "queued", "pending", "success")
_REVIEWS = ("approved", "rejected")
_LONGEST = 140
_SHA = re.compile("[0-9a-f]{40}")


class Repository:
    """What happens here is told through the hook."""

    def __init__(self, configuration: Configuration, store: Store, hook: Hook) -> None:
        self._configuration, self._store, self._hook = configuration, store, hook

    def deploy(self, asked: Document) -> Document:
        """A deployment; the same again is another one."""
        deployment = self._new(asked)
        self._hook.tell("deployment", self._payload("deployment", deployment=deployment))
        return deployment

    def deployments(self, size: int, skip: int, wanted: dict[str, str]) -> list[Document]:
        """The newest first, of those whose fields are as *wanted*."""
        found = self._store.page("deployment", 10_000).documents
        fitting = [each for each in found if all(each[name] == value for name, value in wanted.items())]
        return fitting[skip : skip + size]

    def deployment(self, number: int) -> Document:
        """Refusal where there is none."""
        found = self._store.get("deployment", number)
        if found is None:
            raise not_found()
        return found

    def say(self, number: int, asked: Document) -> Document:
        """A status of a deployment; the same again is another one."""
        deployment = self.deployment(number)
        state, description = asked.get("state"), asked.get("description") or ""
        if state not in _STATES:
            raise unfit("DeploymentStatus", "state")
        if not isinstance(description, str) or len(description) > _LONGEST:
            raise unfit("DeploymentStatus", "description")
        status = self._payload("deployment_status")["deployment_status"] | {
            "id": (made := self._store.number()),
            "url": f"{deployment['url']}/statuses/{made}",
            "state": state,
            "description": description,
            "environment": asked.get("environment") or deployment["environment"],
            "target_url": asked.get("log_url") or asked.get("target_url") or "",
            "deployment_url": deployment["url"],
            "created_at": now(),
            "updated_at": now(),
            # Left out where there is none.
            **{name: asked[name] for name in ("log_url", "environment_url") if asked.get(name)},
        }
        self._store.put("status", status, of=number)
        told = self._payload("deployment_status", deployment_status=status, deployment=deployment)
        self._hook.tell("deployment_status", told)
        return status

    def statuses(self, number: int, size: int, skip: int) -> list[Document]:
        """The newest first."""
        self.deployment(number)
        return self._store.page("status", size, of=number, skip=skip).documents

    def ping(self) -> None:
        """As when a hook is made."""
        payload = example(self._configuration, "ping")
        payload["hook_id"], payload["hook"] = self._configuration.hook, self._hook.described()
        self._hook.tell("ping", payload)

    def run(self, asked: Document) -> Document:
        """A run of a workflow, with fields as *asked*: `id` and `run_attempt` too, for a run that is told of again."""
        payload = self._payload("workflow_run")
        payload["action"] = str(asked.pop("action", "completed"))
        changes = {"id": self._store.number(), "run_attempt": 1, "updated_at": now(), "head_branch": "master"} | asked
        payload["workflow_run"] |= changes
        self._hook.tell("workflow_run", payload)
        return payload["workflow_run"]

    def ask_for_review(self, asked: Document) -> Payload:
        """Whether a run may deploy: the protection rule's own request, to be answered at its `deployment_callback_url`."""
        run = self._store.number()
        environment = str(asked.get("environment", "production"))
        base = f"{self._configuration.url}/repos/{self._configuration.repository}/actions/runs/{run}"
        payload = self._payload(
            "deployment_protection_rule",
            environment=environment,
            deployment_callback_url=f"{base}/deployment_protection_rule",
            deployment=self._new(asked | {"environment": environment}),
        )
        self._store.put("run", {"id": run, "environment": environment, "waits": True})
        self._hook.tell("deployment_protection_rule", payload)
        return payload

    def review(self, run: int, asked: Document) -> None:
        """Approve, reject, or comment only. Refusal for another environment than it was asked for, and once it was answered."""
        found = self._run(run)
        if not found["waits"]:
            raise Refusal(422, f"No pending custom deployment requests in workflow run `{run}` to approve or reject")
        if asked.get("environment_name") != found["environment"]:
            raise unfit("DeploymentProtectionRule", "environment_name")
        if "state" in asked and asked["state"] not in _REVIEWS:
            raise unfit("DeploymentProtectionRule", "state")
        if "state" not in asked and not asked.get("comment"):
            raise unfit("DeploymentProtectionRule", "comment", "missing_field")
        self._store.put("review", asked | {"id": self._store.number(), "run": run})
        self._store.put("run", found | {"waits": "state" not in asked})

    def history(self, run: int) -> list[Document]:
        """Its reviews, the newest first."""
        self._run(run)
        return [
            {
                "state": each.get("state", "pending"),
                "comment": each.get("comment", ""),
                "environments": [self._environment(each["environment_name"])],
                "user": {"login": "steward[bot]", "id": 1, "type": "Bot", "site_admin": False},
            }
            for each in self.reviews()
            if each["run"] == run
        ]

    def pending(self, run: int) -> list[Document]:
        """The environments for which it waits."""
        found = self._run(run)
        if not found["waits"]:
            return []
        environment = self._environment(found["environment"])
        waits = {"wait_timer": 0, "wait_timer_started_at": None, "current_user_can_approve": False, "reviewers": []}
        return [{"environment": environment, **waits}]

    def end(self, run: int) -> None:
        """As when somebody cancels it: it waits no more, and nobody has answered."""
        self._store.put("run", self._run(run) | {"waits": False})

    def _run(self, run: int) -> Document:
        found = self._store.get("run", run)
        if found is None:
            raise not_found()
        return found

    def _environment(self, name: str) -> Document:
        url = f"{self._configuration.url}/repos/{self._configuration.repository}/environments/{name}"
        return {
            "id": 161088068,
            "node_id": "MDExOkVudmlyb25tZW50MTYxMDg4MDY4",
            "name": name,
            "url": url,
            "html_url": url,
        }

    def reviews(self) -> list[Document]:
        """The newest first."""
        return self._store.page("review", 1000).documents

    def _new(self, asked: Document) -> Document:
        ref = asked.get("ref")
        if not isinstance(ref, str) or not ref:
            raise unfit("Deployment", "ref", "missing_field")
        sha = ref if _SHA.fullmatch(ref) else hashlib.sha1(ref.encode(), usedforsecurity=False).hexdigest()
        environment = asked.get("environment") or "production"
        deployment = self._payload("deployment")["deployment"] | {
            "id": (number := self._store.number()),
            "sha": sha,
            "ref": ref,
            "task": asked.get("task") or "deploy",
            "payload": asked.get("payload", {}),
            "original_environment": environment,
            "environment": environment,
            "description": asked.get("description"),
            "created_at": now(),
            "updated_at": now(),
            "transient_environment": bool(asked.get("transient_environment", False)),
            "production_environment": bool(asked.get("production_environment", environment == "production")),
        }
        deployment["url"] = f"{deployment['repository_url']}/deployments/{number}"
        deployment["statuses_url"] = f"{deployment['url']}/statuses"
        self._store.put("deployment", deployment)
        return deployment

    def _payload(self, event: str, **parts: Any) -> Payload:
        return example(self._configuration, event) | parts

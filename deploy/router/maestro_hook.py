"""A LiteLLM proxy that obeys Maestro's router, and tells what the calls of Maestro's workers cost.

The file stands beside the proxy's configuration, which names it: ``callbacks: [maestro_hook.instance]``,
as ``maestro router render`` writes it; or ``maestro_hook.books`` for a proxy that only workers call, who
have asked the router before (``maestro router render --decided``). Its settings are environment
variables; docs/router.md, "A proxy that obeys", lists them.

What must stay true: what the router forbids reaches no deployment by this proxy, in every mode and by
every fallback, unless the router is away and MAESTRO_HOOK_FAIL lets the call pass; neither a prompt nor
the token is ever logged; an outcome that cannot be told is dropped, and no call waits for it.

A call goes through here in this order:

``async_pre_call_hook``             asks the router once; may put another model in the place of the asked one
``async_filter_deployments``        keeps what was decided; asks anew for a fallback
``async_pre_call_deployment_hook``  stops what came past the filter, as a deployment asked for by its id
``async_post_call_failure_deployment_hook``, ``async_log_…_event``   tell what became of it
``async_post_call_response_headers_hook``   names the decision to the caller

A call that bears the header ``x-maestro-call`` is a worker's. What it cost is told to Maestro under that
name, also where the worker has gone meanwhile.
"""

import asyncio
import json
import math
import os
import re
import time
from collections import defaultdict, deque
from datetime import datetime
from typing import Any, AsyncGenerator, Optional
from weakref import WeakKeyDictionary

import httpx
import litellm
from fastapi import HTTPException
from litellm._logging import verbose_proxy_logger as log
from litellm.integrations.custom_logger import CustomLogger

CONNECTIONS_MAX = 64
NAME_BYTES_MAX = 128  # the longest session that the router takes
QUEUE_MAX = 10_000  # outcomes that wait; beyond, the oldest is dropped
POST_MAX = 1_000  # outcomes of one post
FLUSH_S = 0.5
POST_TIMEOUT_S = 5.0
CALL_HEADER = "x-maestro-call"
CALL = re.compile(r"([a-z0-9][a-z0-9_-]{0,62})/(exec_[0-7][0-9a-hjkmnp-tv-z]{25})/([0-9]{1,2})")
MAY_HAVE_RUN = (408, 500, 502, 504)  # after these a provider may have done the work all the same
LEFT = 499  # the status of a call whose caller has gone
KEY = "maestro_decision"  # where a call's metadata has its state
BUCKETS = ("litellm_metadata", "metadata")
FOR_NOW = ("maestro.tried", "maestro.breaker.", "maestro.limit.", "maestro.bound.")
# The router's own answers to a request. Another answer is no decision: then it counts as away.
ANSWERS = {"MAE-2006", "MAE-2007", "MAE-2008", "MAE-4002", "MAE-4004", "MAE-4011"}
TEXTS = (
    "messages", "system", "instructions", "input", "prompt", "suffix", "prediction", "query", "tools", "functions",
    "tool_choice", "response_format", "text", "stop",
)
OUTPUTS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
TOOLS = "mcp"  # in the name of each kind of call that asks a tool and no model


def setting(name: str, default: Optional[str] = None) -> str:
    value = os.environ.get(name) or default
    if value is None:
        raise RuntimeError(f"{name} is not set; the proxy cannot ask Maestro's router without it")
    return value


def buckets(call: Any) -> list[dict]:
    return [call[name] for name in BUCKETS if isinstance(call.get(name), dict)]


def state_of(call: Any) -> Optional[dict]:
    return next((one[KEY] for one in buckets(call) if KEY in one), None)


def keep(call: dict, decision: dict) -> dict:
    """The state of a call that begins. Copies of its metadata share it, so it is changed in place."""
    state = {**decision, "used": False, "passed": [], "tried": [], "began": {}}
    name = BUCKETS[0] if BUCKETS[0] in call else BUCKETS[1]
    call[name] = call.get(name) or {}
    call[name][KEY] = state
    return state


def headers_of(call: Any) -> dict:
    asked = call.get("proxy_server_request") or {}
    return {str(name).lower(): value for name, value in (asked.get("headers") or {}).items()}


def worker_call(call: Any) -> Optional[tuple]:
    """The project, the execution, and the how-manieth call of it, where a worker made it."""
    found = CALL.fullmatch(str(headers_of(call).get(CALL_HEADER) or ""))
    return found.groups() if found else None


def tags_of(call: Any) -> list[str]:
    lists = [one.get(name) for one in buckets(call) for name in ("tags", "maestro_tags")]
    lists += [call.get("tags"), (headers_of(call).get("x-litellm-tags") or "").split(",")]
    found = (tag.strip() for one in lists if isinstance(one, list) for tag in one if isinstance(tag, str))
    return list(dict.fromkeys(tag for tag in found if tag and not tag.startswith("User-Agent:")))


def messages_of(call: Any) -> list:
    """All that the call says, as chat messages: tags are found in their texts."""
    told: list = []
    for name in TEXTS:
        value = call.get(name)
        if name == "messages" and isinstance(value, list):
            told += value
        elif value:
            parts = value if isinstance(value, list) else [value]
            texts = [{"type": "text", "text": one} if isinstance(one, str) else one for one in parts]
            told.append({"role": "user", "content": [one for one in texts if isinstance(one, dict)]})
    return told


def question(call: Any, model: str, state: Optional[dict]) -> dict:
    """What the router is asked. A later try no longer shows its text everywhere: tags that were found
    in it are told again."""
    headers, tags = headers_of(call), tags_of(call)
    asked: dict = {"model": model, "messages": messages_of(call), "tags": tags, "counted": True}
    if state is not None:
        asked["tried"] = state["tried"]
        tags += [tag for tag in state["tags"] if tag not in tags]
    tokens = next((call[name] for name in OUTPUTS if isinstance(call.get(name), int)), None)
    session = call.get("litellm_session_id") or headers.get("x-litellm-session-id")
    if tokens is not None and tokens > 0:
        asked["max_output_tokens"] = tokens
    if isinstance(session, str) and 0 < len(session.encode()) <= NAME_BYTES_MAX:
        asked["session"] = session
    if headers.get("x-maestro-objectives"):
        asked["objectives"] = headers["x-maestro-objectives"]
    return asked


def decided(answer: dict) -> dict:
    """What is kept of a decision: nothing of it is the prompt's."""
    cause, mode = answer["rationale"]["cause"], answer["mode"]
    must = mode == "act" or cause == "forbidden"
    used = answer if must or mode == "shadow" else answer.get("instead_of") or answer
    excluded = answer["rationale"]["excluded"]
    return {
        "decision_id": answer["decision_id"],
        "must": must,
        "model": used["model"],
        "deployment": used["deployment"],
        "order": [answer["deployment"], *answer["fallbacks"]],
        "tags": answer["rationale"]["tags"],
        "forbidden": [one["deployment"] for one in excluded if not one["rule"].startswith(FOR_NOW)],
    }


def class_of(error: Any) -> str:
    status = getattr(error, "status_code", None) or 500
    name, text = type(error).__name__, str(error)
    if "Timeout" in name or status in (408, 504):
        return "timeout"
    if name == "APIConnectionError" or "Connection error" in text:
        return "connection"
    if status == 429:
        return "throttled"
    return "server" if status >= 500 else "refused"


def pause_ms(error: Any) -> Optional[int]:
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return max(0, int(float(headers.get("retry-after", "")) * 1000))
    except ValueError:
        return None


def ms(moment: Any) -> int:
    return int((moment.timestamp() if isinstance(moment, datetime) else float(moment)) * 1000)


def refusal(status: int, message: Any, code: Optional[str] = None) -> HTTPException:
    return HTTPException(status, detail={"error": {"message": message, "type": "maestro", "code": code}})


class MaestroHook(CustomLogger):
    def __init__(self) -> None:
        super().__init__()
        self.server = setting("MAESTRO_SERVER").rstrip("/")
        self.headers = {
            "authorization": f"Bearer {setting('MAESTRO_TOKEN')}",
            "x-maestro-project": setting("MAESTRO_PROJECT", "default"),
            "content-type": "application/json",
        }
        self.timeout_s = int(setting("MAESTRO_HOOK_TIMEOUT_MS", "20")) / 1000
        self.fail = setting("MAESTRO_HOOK_FAIL", "tagged")
        if self.fail not in ("tagged", "closed", "open"):
            raise RuntimeError(f"MAESTRO_HOOK_FAIL: found {self.fail}; expected tagged, closed or open")
        self.clients: WeakKeyDictionary = WeakKeyDictionary()
        self.flushing: WeakKeyDictionary = WeakKeyDictionary()
        self.outcomes: deque = deque(maxlen=QUEUE_MAX)
        self.settlements: deque = deque(maxlen=QUEUE_MAX)

    async def post(self, path: str, body: dict, timeout_s: float) -> httpx.Response:
        loop = asyncio.get_running_loop()
        if loop not in self.clients:
            limits = httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX)
            self.clients[loop] = httpx.AsyncClient(headers=self.headers, limits=limits, timeout=timeout_s)
        text = json.dumps(body, default=str)
        sent = self.clients[loop].post(self.server + path, content=text, timeout=timeout_s)
        return await asyncio.wait_for(sent, timeout_s)

    async def decide(self, call: Any, model: str, state: Optional[dict] = None) -> dict:
        """Asks the router. Raises what it refuses, and what may not pass without it."""
        asked = question(call, model, state)
        try:
            response = await self.post("/route/choose", asked, self.timeout_s)
            answer = response.json()
            if response.status_code == 200:
                return decided(answer)
            why = f"{response.status_code} {answer.get('code')}"
            if answer.get("code") in ANSWERS:
                raise refusal(response.status_code, answer.get("detail"), answer["code"])
        except (httpx.HTTPError, asyncio.TimeoutError, ValueError, KeyError, AttributeError) as error:
            why = type(error).__name__
        log.warning("maestro: no decision, since the router answered %s", why)
        if self.fail == "closed" or (self.fail == "tagged" and asked["tags"]):
            raise refusal(503, "Maestro's router does not answer, and this call may not pass without it")
        none: dict = {"decision_id": None, "must": False, "model": model, "deployment": None}
        return {**none, "order": [], "forbidden": [], "tags": asked["tags"]}

    async def narrow(self, model: str, deployments: list[dict], call: dict) -> list[dict]:
        """The deployments that one try may go to."""
        state = state_of(call)
        if state is None:
            state = keep(call, await self.decide(call, model))
        elif state["used"] or model not in (state["model"], state["deployment"]):
            state.update(await self.decide(call, model, state))
        state["used"] = True
        by_id = {(one.get("model_info") or {}).get("id"): one for one in deployments}
        if state["must"]:
            kept = [name for name in state["order"] if name in by_id][:1]
        else:
            kept = [name for name in by_id if name not in state["forbidden"]]
        if not kept:
            raise refusal(503, f"{state['decision_id']} has no deployment of {model} chosen or permitted")
        state["passed"] = kept
        state["model"] = by_id[kept[0]].get("model_name") or state["model"]
        return [by_id[name] for name in kept]

    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: dict, call_type: str) -> dict:
        for bucket in buckets(data):
            bucket.pop(KEY, None)  # a caller's own word is no decision
        model = data.get("model")
        if TOOLS in str(call_type) or not isinstance(model, str):
            return data
        state = await self.decide(data, model)
        keep(data, state)
        if model not in (state["model"], state["deployment"]):
            data["model"] = state["model"]
        return data

    async def async_filter_deployments(
        self, model: str, healthy_deployments: list, messages: Optional[list],
        request_kwargs: Optional[dict] = None, parent_otel_span: Any = None,
    ) -> list[dict]:  # fmt: skip
        call = request_kwargs if request_kwargs is not None else {}
        if messages and "messages" not in call:
            call = {**call, "messages": messages}
        return await self.narrow(model, healthy_deployments, call)

    async def async_pre_call_deployment_hook(self, kwargs: dict, call_type: Any) -> None:
        name = (kwargs.get("model_info") or {}).get("id")
        if name is None:
            return
        state = state_of(kwargs)
        if state is None or name not in state["passed"]:
            await self.narrow(name, [{"model_info": {"id": name}}], kwargs)
            state = state_of(kwargs)
        if state is not None:
            state["began"][name] = int(time.time() * 1000)

    async def async_post_call_failure_deployment_hook(
        self, request_data: Any, exception: Exception, call_type: Any, fallback_depth: Optional[int] = None
    ) -> None:
        state, name = state_of(request_data), (request_data.get("model_info") or {}).get("id")
        if state is not None and name in state["began"]:
            state["tried"].append(name)
            told = {"class": class_of(exception), "retry_after_ms": pause_ms(exception)}
            self.tell(state, name, int(time.time() * 1000), told)

    async def async_log_success_event(self, kwargs: dict, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.settle(kwargs)
        self.ended(kwargs, end_time, "ok")

    async def async_log_failure_event(self, kwargs: dict, response_obj: Any, start_time: Any, end_time: Any) -> None:
        # A try that failed before its answer began has been told of; this one was cut in the middle.
        error = kwargs.get("exception")
        self.ended(kwargs, end_time, "timeout" if "Timeout" in type(error).__name__ else "cut")

    def ended(self, kwargs: dict, end_time: Any, ending: str) -> None:
        call = kwargs.get("litellm_params") or {}
        state, logged = state_of(call), kwargs.get("standard_logging_object") or {}
        name = (call.get("model_info") or {}).get("id") or logged.get("model_id")
        if state is None or name not in state["began"]:
            return
        told: dict = {"class": ending}
        if ending == "ok":
            told["input_tokens"] = logged.get("prompt_tokens")
            told["output_tokens"] = logged.get("completion_tokens")
            told["cost_microusd"] = round((logged.get("response_cost") or 0) * 1e6) or None
        first = kwargs.get("completion_start_time")
        if first is not None and kwargs.get("stream"):
            told["ttft_ms"] = max(0, ms(first) - state["began"][name])
        self.tell(state, name, ms(end_time), told)

    def settle(self, kwargs: dict) -> None:
        """What a worker's call cost. Of one that nobody waited for to its end this is what had come."""
        call, logged = worker_call(kwargs.get("litellm_params") or {}), kwargs.get("standard_logging_object")
        if call is None or not logged or not logged.get("response_cost"):
            return
        tokens = (logged.get("prompt_tokens") or 0, logged.get("completion_tokens") or 0)
        self.told(call, tokens, logged["response_cost"])

    def told(self, call: tuple, tokens: tuple, dollars: float) -> None:
        project, execution, ordinal = call
        told = {
            "execution": execution,
            "ordinal": int(ordinal),
            "input_tokens": tokens[0],
            "output_tokens": tokens[1],
            "cost_microusd": max(0, math.ceil(dollars * 1e6 - 1e-6)),
        }
        self.settlements.append((project, told))
        self.soon()

    def tell(self, state: dict, name: str, at_ms: int, told: dict) -> None:
        latency_ms = max(0, at_ms - state["began"].pop(name))
        if told.get("ttft_ms") is not None:
            told["ttft_ms"] = min(told["ttft_ms"], latency_ms)
        outcome = {"deployment": name, "decision_id": state["decision_id"], "at_ms": at_ms, "latency_ms": latency_ms}
        outcome.update(told)
        self.outcomes.append({field: value for field, value in outcome.items() if value is not None})
        self.soon()

    def soon(self) -> None:
        loop = asyncio.get_running_loop()
        if loop not in self.flushing or self.flushing[loop].done():
            self.flushing[loop] = loop.create_task(self.flush())

    async def flush(self) -> None:
        while self.outcomes or self.settlements:
            await asyncio.sleep(FLUSH_S)
            batch = [self.outcomes.popleft() for _ in range(min(POST_MAX, len(self.outcomes)))]
            if batch:
                await self.send("/route/outcomes", {"outcomes": batch}, "outcomes")
            by_project = defaultdict(list)
            for project, told in [self.settlements.popleft() for _ in range(min(POST_MAX, len(self.settlements)))]:
                by_project[project].append(told)
            for project, told in by_project.items():
                path = f"/v1/projects/{project}/cost/settlements"
                if not await self.send(path, {"settlements": told}, "settlements"):
                    # Money is told again; beyond what the queue holds the oldest is lost.
                    self.settlements.extend((project, one) for one in told)

    async def send(self, path: str, body: dict, what: str) -> bool:
        """Whether it is over: taken, or refused for good."""
        try:
            response = await self.post(path, body, POST_TIMEOUT_S)
            if response.is_success:
                return True
            log.warning("maestro: some %s were not taken: %s", what, response.status_code)
            return response.status_code < 500
        except (httpx.HTTPError, asyncio.TimeoutError) as error:
            log.warning("maestro: some %s did not arrive: %s", what, type(error).__name__)
            return False

    async def async_post_call_response_headers_hook(
        self, data: dict, user_api_key_dict: Any, response: Any,
        request_headers: Optional[dict] = None, litellm_call_info: Optional[dict] = None,
    ) -> dict[str, str]:  # fmt: skip
        state = state_of(data)
        if state is None or state["decision_id"] is None:
            return {}
        return {"x-maestro-decision-id": state["decision_id"], "x-maestro-model": state["model"]}


class Books(MaestroHook):
    """Decides nothing, and tells what workers' calls cost: also of those that nobody waited for."""

    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: dict, call_type: str) -> dict:
        return data

    async def async_filter_deployments(
        self, model: str, healthy_deployments: list, messages: Optional[list],
        request_kwargs: Optional[dict] = None, parent_otel_span: Any = None,
    ) -> list[dict]:  # fmt: skip
        return healthy_deployments

    async def async_pre_call_deployment_hook(self, kwargs: dict, call_type: Any) -> None:
        return None

    async def async_post_call_failure_hook(
        self, request_data: dict, original_exception: Exception, user_api_key_dict: Any,
        traceback_str: Optional[str] = None,
    ) -> None:  # fmt: skip
        status, call = getattr(original_exception, "status_code", None), worker_call(request_data)
        if status == LEFT:
            self.left(request_data)
        elif call is not None and isinstance(status, int) and status not in MAY_HAVE_RUN:
            self.told(call, (0, 0), 0.0)

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: dict
    ) -> AsyncGenerator[Any, None]:
        begun = False
        try:
            async for piece in response:
                begun = True
                yield piece
        except (asyncio.CancelledError, GeneratorExit):
            # Of one that has begun the proxy itself tells what had come.
            if not begun:
                self.left(request_data)
            raise

    def left(self, asked: dict) -> None:
        """The worker left before anything came: the question is paid for, if it was sent."""
        call, logging = worker_call(asked), asked.get("litellm_logging_obj")
        details = getattr(logging, "model_call_details", None)
        if call is None or details is None:
            return
        if details.get("first_api_call_start_time") is None:
            return self.told(call, (0, 0), 0.0)
        model = details.get("model") or asked.get("model") or ""
        info = (details.get("litellm_params") or {}).get("model_info") or {}
        price = info.get("input_cost_per_token") or (litellm.model_cost.get(model) or {}).get("input_cost_per_token")
        if price is not None:
            tokens = litellm.token_counter(model=model, messages=asked.get("messages") or [])
            self.told(call, (tokens, 0), tokens * float(price))


instance = MaestroHook()
books = Books()

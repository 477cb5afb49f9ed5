"""Envoy's configuration as Istio would send it, for sidecars and for an ingress gateway. Pure: returns dictionaries."""

from typing import Any

from lab.network import INBOUND, OUTBOUND, WORK
from lab.scenario import Scenario
from lab.world import World

Config = dict[str, Any]
TYPE = "type.googleapis.com/envoy"
LOG_FIELDS = {
    "start": "%START_TIME(%s.%6f)%", "method": "%REQ(:METHOD)%", "path": "%REQ(:PATH)%",
    "authority": "%REQ(:AUTHORITY)%", "xrid": "%REQ(X-REQUEST-ID)%", "code": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%", "upstream": "%UPSTREAM_HOST%", "cluster": "%UPSTREAM_CLUSTER%",
    "downstream": "%DOWNSTREAM_REMOTE_ADDRESS%", "up_local": "%UPSTREAM_LOCAL_ADDRESS%", "dur": "%DURATION%",
    "xff": "%REQ(X-FORWARDED-FOR)%", "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "sent": "%BYTES_SENT%",
    "grpc": "%GRPC_STATUS%",
}  # fmt: skip


def address(host: str, port: int) -> Config:
    return {"socket_address": {"address": host, "port_value": port}}


def cluster_name(scenario: Scenario, world: World, version: str) -> str:
    """Istio's name of a subset's cluster."""
    if scenario.topology == "gateway":
        return f"outbound|{world.gateway_port}|version-{version}|customer"
    return f"outbound|{world.service_port}|version-{version}|catalog.{world.namespace}.svc.cluster.local"


def http2_options(scenario: Scenario) -> Config:
    if scenario.protocol == "http1":
        return {}
    kind = f"{TYPE}.extensions.upstreams.http.v3.HttpProtocolOptions"
    explicit: Config = {"explicit_http_config": {"http2_protocol_options": {}}}
    return {
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": kind, **explicit}
        }
    }


def upstream(scenario: Scenario, world: World, version: str, host: str, key_log: str) -> Config:
    """The cluster of one version."""
    name = cluster_name(scenario, world, version)
    port = world.app_port
    endpoint = {"endpoint": {"address": address(host, port)}}
    cluster: Config = {
        "name": name, "type": "STATIC", "connect_timeout": "10s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        **http2_options(scenario),
    }  # fmt: skip
    if scenario.tls and (scenario.v1 if version == "v1" else scenario.v2) == "sidecar":
        sni = f"outbound_.{world.service_port}_.version-{version}_.catalog.{world.namespace}.svc.cluster.local"
        context = {
            "common_tls_context": {**certificates("client"), "key_log": {"path": key_log}, "alpn_protocols": ["istio"]}
        }
        cluster["transport_socket"] = {
            "name": "tls",
            "typed_config": {
                "@type": f"{TYPE}.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": sni,
                **context,
            },
        }
    return cluster


def certificates(owner: str) -> Config:
    """Where the run's throw-away certificates lie; the recorder makes them."""
    own = {"certificate_chain": {"filename": f"{WORK}/{owner}.crt"}, "private_key": {"filename": f"{WORK}/{owner}.key"}}
    return {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [own],
        "validation_context": {"trusted_ca": {"filename": f"{WORK}/ca.crt"}},
    }  # fmt: skip


def mirror_policy(scenario: Scenario, world: World, version: str) -> Config:
    """One request_mirror_policies entry."""
    policy: Config = {"cluster": cluster_name(scenario, world, version), "trace_sampled": False}
    if scenario.percent < 100:
        policy["runtime_fraction"] = {"default_value": {"numerator": scenario.percent, "denominator": "HUNDRED"}}
    if scenario.suffix != "-shadow":
        policy["disable_shadow_host_suffix_append"] = True
    if scenario.suffix not in ("", "-shadow"):
        name, colon, port = world.host.partition(":")
        policy["host_rewrite_literal"] = f"{name}{scenario.suffix}{colon}{port}"
    return policy


def route_action(scenario: Scenario, world: World) -> Config:
    """The route: to v1 (or by weights), with its mirrors, retries and hedges."""
    action: Config = {"timeout": f"{scenario.timeout}s"}
    if scenario.weights:
        clusters = [{"name": cluster_name(scenario, world, v), "weight": w} for v, w in scenario.weights.items()]
        action["weighted_clusters"] = {"clusters": clusters}
    else:
        action["cluster"] = cluster_name(scenario, world, "v1")
    if scenario.mirrors:
        action["request_mirror_policies"] = [mirror_policy(scenario, world, version) for version in scenario.mirrors]
    if scenario.retry:
        action["retry_policy"] = scenario.retry
    if scenario.hedge:
        action["hedge_policy"] = {"hedge_on_per_try_timeout": True}
    return action


def fault_filters() -> list[Config]:
    """Two of Envoy's fault filters: end-user jason is aborted, end-user slow is delayed (as in Istio's examples)."""
    always = {"numerator": 100, "denominator": "HUNDRED"}
    acts: dict[str, Config] = {
        "jason": {"abort": {"http_status": 500, "percentage": always}},
        "slow": {"delay": {"fixed_delay": "0.3s", "percentage": always}},
    }
    return [
        {
            "name": f"envoy.filters.http.fault.{user}",
            "typed_config": {
                "@type": f"{TYPE}.extensions.filters.http.fault.v3.HTTPFault", **act,
                "headers": [{"name": "end-user", "string_match": {"exact": user}}],
            },
        }
        for user, act in acts.items()
    ]  # fmt: skip


def connection_manager(
    prefix: str, routes: Config, log: str, direction: str, filters: list[Config], **more: Any
) -> Config:
    """The network filter that speaks HTTP, with an access log of JSON lines."""
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": f"{TYPE}.extensions.filters.http.router.v3.Router"},
    }
    logger = {
        "name": "file",
        "typed_config": {
            "@type": f"{TYPE}.extensions.access_loggers.file.v3.FileAccessLog", "path": log,
            "log_format": {"json_format": {"dir": direction, **LOG_FIELDS}},
        },
    }  # fmt: skip
    manager = f"{TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": manager, "stat_prefix": prefix, "server_name": "istio-envoy", "route_config": routes,
            "http_filters": [*filters, router], "access_log": [logger], "generate_request_id": True,
            "codec_type": "AUTO", "normalize_path": True, "upgrade_configs": [{"upgrade_type": "websocket"}], **more,
        },
    }  # fmt: skip


def tracing(sampled: bool = True) -> Config:
    """Zipkin headers (x-b3-*); the collector's cluster has no address, so that no span is sent anywhere."""
    provider = {
        "name": "envoy.tracers.zipkin",
        "typed_config": {
            "@type": f"{TYPE}.config.trace.v3.ZipkinConfig", "collector_cluster": "zipkin",
            "collector_endpoint": "/api/v2/spans", "collector_endpoint_version": "HTTP_JSON", "shared_span_context": False,
        },
    }  # fmt: skip
    return {"tracing": {"provider": provider, "random_sampling": {"value": 100 if sampled else 1}}}


def collector() -> Config:
    return {"name": "zipkin", "type": "STATIC", "load_assignment": {"cluster_name": "zipkin"}}


def virtual_host(action: Config, scenario: Scenario | None = None) -> Config:
    host: Config = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": action}]}
    host["include_request_attempt_count"] = scenario is not None
    if scenario is not None and scenario.strip_id:
        host["request_headers_to_remove"] = ["x-request-id"]
    return host


def outbound_listener(scenario: Scenario, world: World, log: str) -> Config:
    """15001: what the application sends."""
    routes = {"name": "outbound", "virtual_hosts": [virtual_host(route_action(scenario, world), scenario)]}
    filters = fault_filters() if scenario.fault else []
    manager = connection_manager("outbound", routes, log, "outbound", filters, use_remote_address=False, **tracing())
    listener = {"name": "virtualOutbound", "address": address("::" if world.ipv6 else "0.0.0.0", OUTBOUND)}
    return {**listener, "use_original_dst": True, "filter_chains": [{"filters": [manager]}]}


def passthrough_listener(world: World) -> Config:
    """15001 of a server's sidecar: the application's own calls go where they were going."""
    proxy = {
        "@type": f"{TYPE}.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "passthrough",
        "cluster": "PassthroughCluster",
    }
    listener = {"name": "virtualOutbound", "address": address("::" if world.ipv6 else "0.0.0.0", OUTBOUND)}
    original = {
        "name": "original_dst",
        "typed_config": {"@type": f"{TYPE}.extensions.filters.listener.original_dst.v3.OriginalDst"},
    }
    return {
        **listener,
        "listener_filters": [original],
        "filter_chains": [{"filters": [{"name": "tcp", "typed_config": proxy}]}],
    }


def inbound_listener(scenario: Scenario, world: World, log: str, tls: bool) -> Config:
    """15006: what arrives for the application."""
    name = f"inbound|{world.app_port}||"
    routes = {"name": "inbound", "virtual_hosts": [virtual_host({"cluster": name, "timeout": "0s"})]}
    manager = connection_manager("inbound", routes, log, "inbound", [], use_remote_address=False)
    chain: Config = {"filters": [manager]}
    if tls:
        context = {
            "require_client_certificate": True,
            "common_tls_context": {**certificates("server"), "alpn_protocols": ["istio", "h2", "http/1.1"]},
        }
        chain["transport_socket"] = {
            "name": "tls",
            "typed_config": {"@type": f"{TYPE}.extensions.transport_sockets.tls.v3.DownstreamTlsContext", **context},
        }
    original = {
        "name": "original_dst",
        "typed_config": {"@type": f"{TYPE}.extensions.filters.listener.original_dst.v3.OriginalDst"},
    }
    return {
        "name": "virtualInbound", "address": address("::" if world.ipv6 else "0.0.0.0", INBOUND),
        "listener_filters": [original], "filter_chains": [chain],
    }  # fmt: skip


def original_destination(name: str, bind: str = "", **more: Any) -> Config:
    cluster: Config = {
        "name": name,
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "10s",
        **more,
    }
    if bind:
        cluster["upstream_bind_config"] = {"source_address": {"address": bind, "port_value": 0}}
    return cluster


def upstreams(scenario: Scenario, world: World, key_log: str) -> list[Config]:
    wanted = dict.fromkeys(["v1", *scenario.mirrors, *scenario.weights])
    places = {"v1": world.v1, "v2": world.v2, "third": world.third}
    return [upstream(scenario, world, version, places[version], key_log) for version in wanted]


def client_sidecar(scenario: Scenario, world: World, log: str, key_log: str) -> Config:
    """The sidecar that mirrors."""
    return {
        "static_resources": {
            "listeners": [outbound_listener(scenario, world, log)],
            "clusters": [*upstreams(scenario, world, key_log), collector()],
        }
    }


def server_sidecar(scenario: Scenario, world: World, log: str) -> Config:
    """A server's sidecar: inbound by 15006, to the application from 127.0.0.6."""
    inner = "::6" if world.ipv6 else "127.0.0.6"
    more = http2_options(scenario) if scenario.protocol == "grpc" else {}
    return {
        "static_resources": {
            "listeners": [inbound_listener(scenario, world, log, scenario.tls), passthrough_listener(world)],
            "clusters": [
                original_destination(f"inbound|{world.app_port}||", inner, **more), original_destination("PassthroughCluster"),
            ],
        }
    }  # fmt: skip


def gateway(scenario: Scenario, world: World, log: str, key_log: str) -> Config:
    """An ingress gateway: the client's address is taken from the connection."""
    routes = {"name": "gateway", "virtual_hosts": [virtual_host(route_action(scenario, world), scenario)]}
    filters = fault_filters() if scenario.fault else []
    manager = connection_manager("gateway", routes, log, "outbound", filters, use_remote_address=True, **tracing())
    listener = {"name": "gateway", "address": address(world.gateway, world.gateway_port)}
    return {
        "static_resources": {
            "listeners": [{**listener, "filter_chains": [{"filters": [manager]}]}],
            "clusters": [*upstreams(scenario, world, key_log), collector()],
        }
    }

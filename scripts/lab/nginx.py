"""nginx's configuration: a gateway that mirrors, or one that balances. Pure."""

from lab.scenario import Scenario
from lab.world import World, at

TEMPLATE = """\
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
  log_format lab escape=json '{{"start":"$msec","method":"$request_method","path":"$request_uri","authority":"$http_host",'
    '"code":"$status","downstream":"$remote_addr:$remote_port","upstream":"$upstream_addr","sent":"$body_bytes_sent"}}';
  access_log {log} lab;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_max_body_size 10m; keepalive_requests 10000;
{upstreams}
  server {{
    listen {listen};
    location / {{
{mirror}      proxy_pass http://{main};
      proxy_http_version {http};
{headers}    }}
{copy}  }}
}}
"""
COPY = """\
    location = /_mirror {{
      internal;
      proxy_pass http://v2$request_uri;
      proxy_http_version {http};
{headers}    }}
"""


def upstream(name: str, servers: list[str], keepalive: bool) -> str:
    lines = "".join(f" server {server};" for server in servers)
    return f"  upstream {name} {{{lines}{' keepalive 16;' if keepalive else ''} }}\n"


def config(scenario: Scenario, world: World, log: str, folder: str) -> str:
    """The whole nginx.conf. Without `nginx_keep_host` the copy carries its location's own Host (``v2``), as nginx does it."""
    keepalive = scenario.nginx_http == "1.1"
    v1, v2 = at(world.v1, world.app_port), at(world.v2, world.app_port)
    persistent = '      proxy_set_header Connection "";\n' if keepalive else ""
    host = "      proxy_set_header Host $http_host;\n"
    mirrored = bool(scenario.mirrors) and not scenario.split
    main = "both" if scenario.split else "v1"
    upstreams = upstream("both", [v1, v2], keepalive) if scenario.split else ""
    upstreams += "" if scenario.split else upstream("v1", [v1], keepalive) + upstream("v2", [v2], keepalive)
    copied = COPY.format(http=scenario.nginx_http, headers=persistent + (host if scenario.nginx_keep_host else ""))
    return TEMPLATE.format(
        folder=folder, log=log, upstreams=upstreams, listen=at(world.gateway, world.gateway_port),
        mirror="      mirror /_mirror;\n" if mirrored else "", main=main, http=scenario.nginx_http,
        headers=host + persistent, copy=copied if mirrored else "",
    )  # fmt: skip

# kube-proxy with the tools it calls to program the node's packet filter.
FROM debian:bookworm-slim
RUN apt-get update -q \
    && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends conntrack iptables kmod nftables \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
COPY kube-proxy /usr/local/bin/

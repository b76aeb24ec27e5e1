# kube-proxy, or kube-router, with the tools it calls to program the node's packet filter.
ARG base
FROM $base
RUN apt-get update -q \
    && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        conntrack ipset iptables kmod nftables \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
ARG program
COPY $program /usr/local/bin/

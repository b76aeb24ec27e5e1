# A kind node from Debian's packages and programs compiled here. node_image.py lays out the build's context.
ARG base
FROM $base AS node
# Packages before files: dpkg would ask about configuration files that are there already.
RUN apt-get update -q \
    && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        systemd conntrack iptables nftables iproute2 ethtool util-linux mount kmod libseccomp2 pigz bash \
        ca-certificates curl jq procps e2fsprogs socat containerd runc containernetworking-plugins \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \
    && find /lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete \
    && rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
        /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev* \
        /lib/systemd/system/sockets.target.wants/*initctl* /lib/systemd/system/basic.target.wants/* \
    && echo ReadKMsg=no >>/etc/systemd/journald.conf \
    && ln -sf /usr/lib/systemd/systemd /sbin/init \
    && ln -s /usr/bin/containerd /usr/local/bin/containerd \
    && mkdir -p /opt/cni && ln -s /usr/lib/cni /opt/cni/bin \
    && ctr oci spec | jq 'del(.process.rlimits)' >/tmp/cri-base.json

COPY files/ /
RUN mv /tmp/cri-base.json /etc/containerd/cri-base.json \
    && mkdir -p /etc/kubernetes/manifests \
    && systemctl enable kubelet.service containerd.service undo-mount-hacks.service \
    && systemctl mask systemd-binfmt.service

# The images of the cluster's own pods go into containerd's store once; the archives stay behind in this stage.
FROM node AS store
LABEL baton.stage=store
COPY images/ /images/
COPY import-images /
RUN sh /import-images /images

FROM node
COPY programs/ /usr/bin/
COPY --from=store /var/lib/containerd/ /var/lib/containerd/
ENV container=docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]

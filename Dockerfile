# Two stages: the first installs, builds the models and the wheel; the second holds only what serves.
# GPU image: --build-arg RUNTIME=gpu. The base image is an argument so that a mirror or a digest can be named; both
# stages use the same one, since the virtual environment is copied between them.
ARG BASE_IMAGE=python:3.12-slim-bookworm

FROM ${BASE_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# The slow layers first: they change only with the lock.
COPY requirements/ requirements/
RUN python -m venv /opt/builder \
    && /opt/builder/bin/pip install --no-deps --require-hashes -r requirements/build.txt
ARG RUNTIME=cpu
# The builder's pip installs into it from outside: what serves needs no pip.
RUN python -m venv --without-pip /opt/fovea \
    && /opt/builder/bin/pip --python /opt/fovea/bin/python install --no-deps --require-hashes -r "requirements/${RUNTIME}.txt"

COPY pyproject.toml README.md LICENSE ./
COPY anatomy/ anatomy/
COPY fovea/ fovea/
COPY model_build/ model_build/
COPY models/ models/
COPY samples/ samples/
RUN /opt/builder/bin/python -m model_build all --missing
COPY service/ service/
RUN /opt/builder/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/builder/bin/pip --python /opt/fovea/bin/python install --no-deps --no-index /dist/*.whl

FROM ${BASE_IMAGE} AS serve
LABEL org.opencontainers.image.title="fovea" \
      org.opencontainers.image.description="Serves convolutional networks from ONNX files and shows what every unit sees." \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/fovea/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    FOVEA_HOST=0.0.0.0 \
    FOVEA_PORT=8000 \
    FOVEA_MODELS=/srv/fovea/models \
    FOVEA_INPUT_STORE=/tmp/fovea-inputs \
    FOVEA_LOG_FORMAT=json
COPY --from=build /opt/fovea /opt/fovea
COPY --from=build /src/models /srv/fovea/models
WORKDIR /srv/fovea
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["fovea", "probe"]
CMD ["fovea", "serve"]

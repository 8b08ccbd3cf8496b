# Two stages: the first builds the environment, the second holds only that and runs without root.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY .ci/requirements.txt ./
RUN sed '/^# For developers as well/,$d' requirements.txt > runwell.txt \
 && python -m venv /opt/runwell \
 && /opt/runwell/bin/pip install --no-cache-dir --require-hashes -r runwell.txt
COPY pyproject.toml README.md LICENSE ./
COPY collector ./collector
COPY dashboard ./dashboard
RUN /opt/runwell/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/runwell/bin/python -m compileall -q /opt/runwell/lib

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --home-dir /data --shell /usr/sbin/nologin runwell \
 && install -d -o runwell -g runwell /data
COPY --from=build /opt/runwell /opt/runwell
ENV PATH=/opt/runwell/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RUNWELL_DATA=/data
USER runwell
WORKDIR /data
VOLUME /data
# 4317 OTLP/gRPC, 4318 OTLP/HTTP, 4319 read API, 8501 dashboard. Everything listens on loopback until there are
# access keys: share the network namespace with the workers (--network host, or one pod).
EXPOSE 4317 4318 4319 8501
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", "\
import httpx, sys; \
sys.exit(any(httpx.get(f'http://127.0.0.1:{p}/readyz', timeout=2).status_code != 200 for p in (4318, 4319)))"]
ENTRYPOINT ["runwell"]
CMD ["up"]

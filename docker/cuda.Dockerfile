# docker build --file docker/cuda.Dockerfile --tag recon-detect:cuda .
# docker run --rm --gpus all --volume "$PWD/photos:/data:ro" recon-detect:cuda score /data
# The wheels of torch bring CUDA's libraries: the driver of the host and its container toolkit are all that is needed.
FROM python:3.12.12-slim-bookworm

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

WORKDIR /opt/recon-detect
COPY requirements.txt pyproject.toml README.md LICENSE ./
COPY recon_detect recon_detect
RUN python -m pip install --requirement requirements.txt \
    && python -m pip install --no-deps lpips==0.1.4 . \
    && useradd --create-home --uid 10001 recon

USER 10001
WORKDIR /home/recon
ENV HF_HUB_OFFLINE=1
ENTRYPOINT ["recon-detect"]
CMD ["--help"]

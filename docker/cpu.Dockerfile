# docker build --file docker/cpu.Dockerfile --tag recon-detect:cpu .
# docker run --rm --volume "$PWD/photos:/data:ro" recon-detect:cpu score /data
FROM python:3.12.12-slim-bookworm

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1

WORKDIR /opt/recon-detect
COPY requirements.txt pyproject.toml README.md LICENSE ./
COPY recon_detect recon_detect
# The CPU build of torch, from the index of its makers: the default one brings CUDA.
RUN grep '^torch==' requirements.txt > /tmp/torch.txt \
    && python -m pip install --requirement /tmp/torch.txt --index-url https://download.pytorch.org/whl/cpu \
    && python -m pip install --requirement requirements.txt \
    && python -m pip install --no-deps lpips==0.1.4 . \
    && rm /tmp/torch.txt \
    && useradd --create-home --uid 10001 recon

USER 10001
WORKDIR /home/recon
# Without network: the default method needs none. To fetch weights, mount a folder on ~/.cache and unset it.
ENV HF_HUB_OFFLINE=1
ENTRYPOINT ["recon-detect"]
CMD ["--help"]

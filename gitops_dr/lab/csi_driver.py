"""The lab's CSI driver: Identity and Controller over a Unix socket. Serves gRPC, writes files.

``python -m gitops_dr.lab.csi_driver SOCKET STORAGE MESSAGES``. ``STORAGE`` is what ``storage.py``
describes; ``MESSAGES`` is the folder with ``csi_pb2.py``, generated from the CSI specification's
protobuf file when the lab's programs are built. Each method is a function from its request to its
answer in the table ``_methods``; there are no nodes to attach to, so there is no Node service.
https://github.com/container-storage-interface/spec/blob/master/spec.md
"""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import grpc

from gitops_dr.lab.storage import Snapshot, Storage

NAME = "directory.csi.gitops-dr.dev"
VERSION = "1.0.0"
_THREADS = 8
_GRACE_SECONDS = 2.0

Method = Callable[[Any], Any]


def serve(socket: Path, storage: Storage, messages: Any) -> None:
    """Answer requests until ``SIGTERM``; what has begun then may finish."""
    server = grpc.server(ThreadPoolExecutor(_THREADS))
    for service, methods in _methods(storage, messages).items():
        handlers = {name: _handler(name, method, messages) for name, method in methods.items()}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(f"csi.v1.{service}", handlers),)
        )
    server.add_insecure_port(f"unix:{socket}")

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.stop(_GRACE_SECONDS)

    signal.signal(signal.SIGTERM, stop)
    server.start()
    server.wait_for_termination()


def _methods(storage: Storage, csi: Any) -> dict[str, dict[str, Method]]:
    """Every method that the driver has, by service."""

    def plugin_info(_request: Any) -> Any:
        return csi.GetPluginInfoResponse(name=NAME, vendor_version=VERSION)

    def plugin_capabilities(_request: Any) -> Any:
        capability = csi.PluginCapability
        service = capability.Service(type=capability.Service.CONTROLLER_SERVICE)
        return csi.GetPluginCapabilitiesResponse(capabilities=[capability(service=service)])

    def probe(_request: Any) -> Any:
        return csi.ProbeResponse()

    def controller_capabilities(_request: Any) -> Any:
        capability = csi.ControllerServiceCapability
        kinds = ["CREATE_DELETE_VOLUME", "CREATE_DELETE_SNAPSHOT"]
        if not storage.faults().no_listing:
            kinds.append("LIST_SNAPSHOTS")
        return csi.ControllerGetCapabilitiesResponse(
            capabilities=[capability(rpc=capability.RPC(type=kind)) for kind in kinds]
        )

    def create_volume(request: Any) -> Any:
        if storage.faults().volume_error:
            raise RuntimeError(storage.faults().volume_error)
        source = request.volume_content_source
        if source.HasField("volume"):
            raise ValueError(f"{request.name}: volumes are copied from snapshots only")
        storage.create_volume(request.name, source.snapshot.snapshot_id)
        volume = csi.Volume(
            volume_id=request.name, capacity_bytes=request.capacity_range.required_bytes
        )
        if request.HasField("volume_content_source"):
            volume.content_source.CopyFrom(source)
        return csi.CreateVolumeResponse(volume=volume)

    def delete_volume(request: Any) -> Any:
        storage.delete_volume(request.volume_id)
        return csi.DeleteVolumeResponse()

    def create_snapshot(request: Any) -> Any:
        if storage.faults().snapshot_error:
            raise RuntimeError(storage.faults().snapshot_error)
        made = storage.create_snapshot(request.name, request.source_volume_id)
        return csi.CreateSnapshotResponse(snapshot=encoded(made))

    def delete_snapshot(request: Any) -> Any:
        storage.delete_snapshot(request.snapshot_id)
        return csi.DeleteSnapshotResponse()

    def list_snapshots(request: Any) -> Any:
        if request.snapshot_id:
            one = storage.snapshot(request.snapshot_id)
            found = [one] if one else []
        else:
            found = list(storage.snapshots())
        entry = csi.ListSnapshotsResponse.Entry
        return csi.ListSnapshotsResponse(
            entries=[
                entry(snapshot=encoded(snapshot))
                for snapshot in found
                if request.source_volume_id in ("", snapshot.volume)
            ]
        )

    def encoded(snapshot: Snapshot) -> Any:
        answer = csi.Snapshot(
            snapshot_id=snapshot.identifier,
            source_volume_id=snapshot.volume,
            size_bytes=snapshot.size,
            ready_to_use=not storage.faults().never_ready,
        )
        answer.creation_time.seconds = snapshot.created
        return answer

    return {
        "Identity": {
            "GetPluginInfo": plugin_info,
            "GetPluginCapabilities": plugin_capabilities,
            "Probe": probe,
        },
        "Controller": {
            "ControllerGetCapabilities": controller_capabilities,
            "CreateVolume": create_volume,
            "DeleteVolume": delete_volume,
            "CreateSnapshot": create_snapshot,
            "DeleteSnapshot": delete_snapshot,
            "ListSnapshots": list_snapshots,
        },
    }


def _handler(name: str, method: Method, csi: Any) -> grpc.RpcMethodHandler:
    def call(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(request)
        except LookupError as error:
            context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        except ValueError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except FileExistsError as error:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, str(error))
        except RuntimeError as error:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=getattr(csi, f"{name}Request").FromString,
        response_serializer=getattr(csi, f"{name}Response").SerializeToString,
    )


if __name__ == "__main__":
    sys.path.append(sys.argv[3])
    serve(Path(sys.argv[1]), Storage(Path(sys.argv[2])), importlib.import_module("csi_pb2"))

"""Images and datastores as XML. That an image is in use is told by the VMs, not stored."""

from orrery.api.xml.build import attribute_list, ids, owned, permissions, seconds, text
from orrery.core.model.storage import Datastore, Image
from orrery.core.model.view import View
from orrery.core.status import DatastoreType, ImageStatus, ImageType
from orrery.core.template import Pairs
from orrery.service.engine import Values

ImageFacts = tuple[str, str, str, tuple[int, ...]]
"""Names of owner, group and datastore; the VMs that hold a disk of it."""

DatastoreFacts = tuple[str, str, tuple[int, ...], Values | None]
"""Names of owner and group; its images; sizes in MiB."""

FILE_DISK = 0
CDROM_DISK = 1

NO_SNAPSHOTS = (
    "<SNAPSHOTS><ALLOW_ORPHANS>NO</ALLOW_ORPHANS><CURRENT_BASE>-1</CURRENT_BASE>"
    "<NEXT_SNAPSHOT>0</NEXT_SNAPSHOT></SNAPSHOTS><BACKUP_INCREMENTS/>"
)

DATASTORE_TYPES = {
    DatastoreType.IMAGE: "IMAGE_DS",
    DatastoreType.SYSTEM: "SYSTEM_DS",
    DatastoreType.FILE: "FILE_DS",
}


def owner_names(uid: int, gid: int, view: View) -> tuple[str, str]:
    """Names of an owner and a group; their ids where they are gone."""
    user, group = view.users.get(uid), view.groups.get(gid)
    return (str(uid) if user is None else user.name, str(gid) if group is None else group.name)


def image_facts(image: Image, view: View) -> ImageFacts:
    store = view.datastores.get(image.datastore_id)
    users = tuple(sorted(view.image_users(image.id)))
    return (*owner_names(image.uid, image.gid, view), "" if store is None else store.name, users)


def shown_status(image: Image, used: object) -> ImageStatus:
    """READY becomes USED or USED_PERS while VMs hold disks of it."""
    if image.status is not ImageStatus.READY or not used:
        return image.status
    return ImageStatus.USED_PERS if image.persistent else ImageStatus.USED


def image(obj: Image, facts: ImageFacts) -> tuple[str]:
    uname, gname, store, vms = facts
    status = shown_status(obj, vms).value
    disk_type = CDROM_DISK if obj.type is ImageType.CDROM else FILE_DISK
    return (
        f"<IMAGE>{owned(obj.id, obj.uid, obj.gid, uname, gname, obj.name)}"
        f"{permissions(obj.permissions)}<TYPE>{obj.type.value}</TYPE>"
        f"<DISK_TYPE>{disk_type}</DISK_TYPE><PERSISTENT>{int(obj.persistent)}</PERSISTENT>"
        f"<REGTIME>{seconds(obj.regtime)}</REGTIME><MODTIME>{seconds(obj.regtime)}</MODTIME>"
        f"<SOURCE>{text(obj.source)}</SOURCE><PATH>{text(obj.path)}</PATH>"
        f"<FORMAT>{text(obj.format)}</FORMAT><FS></FS><SIZE>{obj.size_mib}</SIZE>"
        f"<STATE>{status}</STATE><PREV_STATE>{obj.status.value}</PREV_STATE>"
        f"<RUNNING_VMS>{len(vms)}</RUNNING_VMS><CLONING_OPS>0</CLONING_OPS>"
        f"<CLONING_ID>-1</CLONING_ID><TARGET_SNAPSHOT>-1</TARGET_SNAPSHOT>"
        f"<DATASTORE_ID>{obj.datastore_id}</DATASTORE_ID><DATASTORE>{text(store)}</DATASTORE>"
        f"{ids('VMS', vms)}<CLONES/><APP_CLONES/><TEMPLATE>{image_template(obj)}</TEMPLATE>"
        f"{NO_SNAPSHOTS}</IMAGE>",
    )


def image_template(obj: Image) -> str:
    items = [item for item in obj.template.attributes if item[0] not in ("ERROR", "CHECKSUM")]
    if obj.error is not None:
        items.append(("ERROR", obj.error))
    if obj.checksum is not None:
        items.append(("CHECKSUM", obj.checksum))
    return "".join(attribute_list(items))


def datastore_facts(store: Datastore, view: View, values: Values | None) -> DatastoreFacts:
    images = tuple(sorted(view.datastore_images(store.id)))
    return (*owner_names(store.uid, store.gid, view), images, values)


def datastore(obj: Datastore, facts: DatastoreFacts) -> tuple[str]:
    uname, gname, images, values = facts
    sizes = values or {}
    return (
        f"<DATASTORE>{owned(obj.id, obj.uid, obj.gid, uname, gname, obj.name)}"
        f"{permissions(obj.permissions)}<DS_MAD>{text(obj.ds_mad)}</DS_MAD>"
        f"<TM_MAD>{text(obj.tm_mad)}</TM_MAD><BASE_PATH>{text(obj.base_path)}</BASE_PATH>"
        f"<TYPE>{obj.type.value}</TYPE><DISK_TYPE>{FILE_DISK}</DISK_TYPE>"
        f"<STATE>{obj.status.value}</STATE>{ids('CLUSTERS', obj.clusters)}"
        f"<TOTAL_MB>{int(sizes.get('TOTAL_MB', 0))}</TOTAL_MB>"
        f"<FREE_MB>{int(sizes.get('FREE_MB', 0))}</FREE_MB>"
        f"<USED_MB>{int(sizes.get('USED_MB', 0))}</USED_MB>{ids('IMAGES', images)}"
        f"<TEMPLATE>{datastore_template(obj)}</TEMPLATE></DATASTORE>",
    )


def datastore_template(obj: Datastore) -> str:
    """OpenNebula repeats the drivers and the type's name there; clients read them."""
    own: dict[str, str] = {
        "DS_MAD": obj.ds_mad,
        "TM_MAD": obj.tm_mad,
        "TYPE": DATASTORE_TYPES[obj.type],
    }
    items: list[tuple[str, str | Pairs]] = [
        item for item in obj.template.attributes if item[0] not in own
    ]
    return "".join(attribute_list([*items, *own.items()]))

"""When the alerts on what only others can tell fire."""

from tests.monitoring.case import Case
from tests.monitoring.series import counter, gauge

CLUSTER = (
    Case(
        "VolumeFilling",
        {
            'kubelet_volume_stats_available_bytes{namespace="classpulse",persistentvolumeclaim="data-0-classpulse-b-0"}': gauge(
                (5, 50), (15, 14), (5, 50)
            ),
            'kubelet_volume_stats_capacity_bytes{namespace="classpulse",persistentvolumeclaim="data-0-classpulse-b-0"}': gauge(
                (25, 100)
            ),
        },
        {
            'kubelet_volume_stats_available_bytes{namespace="other",persistentvolumeclaim="other"}': gauge((25, 1)),
            'kubelet_volume_stats_capacity_bytes{namespace="other",persistentvolumeclaim="other"}': gauge((25, 100)),
        },
        before=14,
        fires=16,
        after=21,
        labels={"namespace": "classpulse", "persistentvolumeclaim": "data-0-classpulse-b-0"},
    ),
    Case(
        "KafkaUnderReplicated",
        {'kafka_server_replicamanager_underreplicatedpartitions{pod="b"}': gauge((5, 0), (15, 2), (5, 0))},
        {'kafka_server_replicamanager_underreplicatedpartitions{pod="b"}': gauge((5, 0), (8, 2), (12, 0))},
        before=14,
        fires=16,
        after=21,
    ),
    Case(
        "KafkaPartitionsOffline",
        {'kafka_controller_kafkacontroller_offlinepartitionscount{pod="b"}': gauge((5, 0), (10, 2), (5, 0))},
        {'kafka_controller_kafkacontroller_offlinepartitionscount{pod="b"}': gauge((20, 0))},
        before=6,
        fires=8,
        after=16,
    ),
    Case(
        "PodRestarts",
        {
            'kube_pod_container_status_restarts_total{namespace="classpulse",pod="p",container="c"}': counter(
                (5, 0), (3, 1), (30, 0)
            )
        },
        {'kube_pod_container_status_restarts_total{namespace="other",pod="p",container="c"}': counter((30, 1))},
        before=7,
        fires=10,
        after=26,
        labels={"namespace": "classpulse", "pod": "p"},
    ),
    Case(
        "JobFailed",
        {
            'kube_job_failed{namespace="classpulse",job_name="j",condition="true"}': gauge(
                (5, 0), (10, 1), (5, None), (5, 0)
            )
        },
        {'kube_job_failed{namespace="classpulse",job_name="j",condition="true"}': gauge((25, 0))},
        before=9,
        fires=11,
        after=22,
        labels={"namespace": "classpulse", "job_name": "j"},
    ),
    Case(
        "PodPending",
        {'kube_pod_status_phase{namespace="classpulse",pod="p",phase="Pending"}': gauge((5, 0), (70, 1), (10, 0))},
        {'kube_pod_status_phase{namespace="classpulse",pod="p",phase="Pending"}': gauge((5, 0), (50, 1), (30, 0))},
        before=63,
        fires=67,
        after=80,
        labels={"namespace": "classpulse", "pod": "p"},
    ),
)

{{/*
The edges of the flow as rules of network policies. An address that leads to a service of the stack opens the way to that
service's pods; any other one, and Kubernetes' API, the way to the peers that the value `egress` names for it.
*/}}

{{- /* The peers that `egress` names. Takes (dict "root" $ "name" "<key of egress>" "for" "<what leads there>"). */}}
{{- define "pipeline.outside" -}}
{{- $peers := index .root.Values.egress .name }}
{{- if not $peers }}
{{- $hint := printf "set egress.%s[0].ipBlock.cidr or egress.%s[0].namespaceSelector" .name .name }}
{{- fail (printf "egress.%s must be where %s leads, as peers of a NetworkPolicy; got none; %s" .name .for $hint) }}
{{- end }}
{{- toYaml $peers }}
{{- end }}

{{- define "pipeline.edge.dns" -}}
- to:
    - namespaceSelector: {}
      podSelector:
        matchLabels:
          k8s-app: kube-dns
  ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
{{- end }}

{{- define "pipeline.edge.kafka" -}}
{{- $ours := true }}
{{- range splitList "," .Values.addresses.kafka }}
{{- if ne (first (splitList ":" .)) "kafka" }}{{ $ours = false }}{{ end }}
{{- end -}}
- to: # Kafka
    {{- if $ours }}
    - podSelector:
        matchLabels:
          app.kubernetes.io/part-of: baton
          app.kubernetes.io/component: kafka
    {{- else }}
    {{- include "pipeline.outside" (dict "root" . "name" "kafka" "for" .Values.addresses.kafka) | nindent 4 }}
    {{- end }}
  ports:
    {{- range splitList "," .Values.addresses.kafka }}
    - port: {{ last (splitList ":" .) }}
    {{- end }}
{{- end }}

{{- define "pipeline.edge.mlflow" -}}
{{- $address := urlParse .Values.addresses.mlflow -}}
- to: # MLflow
    {{- if eq $address.hostname "mlflow" }}
    - podSelector:
        matchLabels:
          app.kubernetes.io/part-of: baton
          app.kubernetes.io/component: mlflow
    {{- else }}
    {{- include "pipeline.outside" (dict "root" . "name" "mlflow" "for" .Values.addresses.mlflow) | nindent 4 }}
    {{- end }}
  ports:
    - port: {{ last (splitList ":" $address.host) }}
{{- end }}

{{- /* The ports of the DataNodes are the NameNode's to tell, so none is named here. */}}
{{- define "pipeline.edge.hdfs" -}}
- to: # HDFS
    {{- if eq (urlParse .Values.addresses.hdfs).hostname "namenode" }}
    - podSelector:
        matchLabels:
          app.kubernetes.io/part-of: baton
        matchExpressions:
          - key: app.kubernetes.io/component
            operator: In
            values: [namenode, datanode]
    {{- else }}
    {{- include "pipeline.outside" (dict "root" . "name" "hdfs" "for" .Values.addresses.hdfs) | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "pipeline.edge.apiserver" -}}
- to: # Kubernetes' API: before and behind its Service
    {{- include "pipeline.outside" (dict "root" . "name" "kubernetes" "for" "kubernetes.default.svc") | nindent 4 }}
  ports:
    - port: 443
    - port: 6443
{{- end }}

{{- /* Between a driver and its executors; each chooses its ports. Takes the list of the other side's components. */}}
{{- define "pipeline.edge.spark" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/part-of: baton
    matchExpressions:
      - key: app.kubernetes.io/component
        operator: In
        values: {{ toJson . }}
{{- end }}

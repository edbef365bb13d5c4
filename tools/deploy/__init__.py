"""What runs apinetlet in a cluster, said once and written twice: as kustomize bases and as a Helm chart.

``values`` says what somebody who installs it may choose, ``objects`` which objects there are, ``alerts`` and
``dashboard`` what watches over them. ``template`` turns an object with open places into both forms, ``write`` puts them
into the folder ``deploy``.
"""
